//! When to try again: pure, the time and the dice are given.
//!
//! ```text
//! closed ──failure──► waiting (1, 2, 4 … s, each drawn from nought to that) ──opens_after failures──► open
//!    ▲                                                                                                 │
//!    └───────────────────────────── one batch is answered ◄── tried after half to all of `longest` ────┘
//! ```

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rand::Rng;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How patient a queue is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// The most that is waited after the first failure; doubles with each.
    pub(crate) first: Duration,
    /// The most that is waited at all, unless the destination says otherwise.
    pub(crate) longest: Duration,
    /// The wait after the destination did not accept the key: a person has to change something first.
    pub(crate) denied: Duration,
    /// Failures in a row that open the circuit.
    pub(crate) opens_after: u32,
    /// How long an item is tried, from its first try on.
    pub(crate) keep_trying: Duration,
}

impl RetryPolicy {
    /// With doubled waits the sixth failure comes after half a minute on average: longer than a restart of a server
    /// takes, so the circuit opens for outages only. A quarter of an hour outlasts most of these; what is longer
    /// is the spool's business.
    pub(crate) const DEFAULT: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
        denied: Duration::from_secs(300),
        opens_after: 6,
        keep_trying: Duration::from_secs(900),
    };

    fn delays(&self) -> ExponentialBackoff {
        let delays = ExponentialBuilder::new().with_min_delay(self.first).with_max_delay(self.longest);
        delays.with_factor(2.0).without_max_times().build()
    }
}

/// What a failure says about the next try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The delay that the destination asked for.
    pub(crate) delay: Option<Duration>,
    /// Whether it did not accept the key.
    pub(crate) is_denied: bool,
}

/// What is remembered between tries.
#[derive(Debug)]
pub(crate) struct Retry {
    policy: RetryPolicy,
    /// The bounds of the waits to come.
    delays: ExponentialBackoff,
    failures: u32,
    /// No try before it.
    not_before: Option<Instant>,
    /// Whether the destination named the time, which then holds for a flush as well.
    is_demanded: bool,
    is_denied: bool,
}

impl Retry {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        let delays = policy.delays();
        Self { policy, delays, failures: 0, not_before: None, is_demanded: false, is_denied: false }
    }

    /// When the next try may be made, if not now.
    pub(crate) fn wait(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|time| *time > now)
    }

    /// Whether the circuit is open.
    pub(crate) fn is_open(&self) -> bool {
        self.failures >= self.policy.opens_after
    }

    /// Whether the last answer was that the key is not accepted.
    pub(crate) fn is_denied(&self) -> bool {
        self.is_denied
    }

    /// Whether an item whose first try was at `since` has been tried for long enough.
    pub(crate) fn is_over(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.policy.keep_trying
    }

    /// A batch was answered.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::new(self.policy);
    }

    /// A batch failed: draws the time of the next try.
    pub(crate) fn failed(&mut self, failure: Failure, now: Instant, dice: &mut impl Rng) {
        self.failures = self.failures.saturating_add(1);
        self.is_denied = failure.is_denied;
        self.is_demanded = failure.delay.is_some();
        let wait = self.draw(dice).max(failure.delay.unwrap_or_default());
        self.not_before = Some(now + wait);
    }

    /// Somebody waits for all to be shipped: tries once more now, unless the destination named a later time.
    pub(crate) fn hurry(&mut self) {
        if !self.is_demanded {
            self.not_before = None;
        }
    }

    fn draw(&mut self, dice: &mut impl Rng) -> Duration {
        let most = self.delays.next().unwrap_or(self.policy.longest);
        match () {
            () if self.is_denied => self.policy.denied,
            // Never at once: an open circuit is there to cost nothing.
            () if self.is_open() => dice.random_range(self.policy.longest / 2..=self.policy.longest),
            // The whole range, so that the agents of many services that lost one server come back one by one.
            () => dice.random_range(Duration::ZERO..=most),
        }
    }
}
