//! When a failed actor is started again, and when the supervisor gives up: pure decisions, the time is given.
//!
//! One log belongs to one supervisor and counts the failures of all its children, as in OTP: restarts are
//! one_for_one, the intensity is shared.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Nanos;

/// How often a supervisor restarts its children before it gives up, and how long it waits before each restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestartPolicy {
    /// Restarts allowed within `period`. One more failure within it means giving up; 0 gives up at the first.
    pub(crate) intensity: u32,
    /// The window of the intensity; a failure exactly this old still counts, as in OTP.
    /// Also the quiet time after which the backoff begins anew.
    pub(crate) period: Duration,
    /// The waits before restarts that follow each other.
    pub(crate) backoff: Backoff,
}

impl RestartPolicy {
    /// 3 restarts in 5 s, after 0, 50, 200, 800, 800 … ms.
    pub(crate) const DEFAULT: Self = Self { intensity: 3, period: Duration::from_secs(5), backoff: Backoff::DEFAULT };
}

// A child that fails as soon as it runs must reach the intensity: its failures are as far apart as the longest wait,
// so `intensity` of those waits have to fit into the period.
const _: () = assert!(
    RestartPolicy::DEFAULT.backoff.longest.as_millis() * (RestartPolicy::DEFAULT.intensity as u128)
        < RestartPolicy::DEFAULT.period.as_millis()
);

/// Waits that grow: none before the first restart, then `first`, then each `factor` times the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The wait before the second restart in a row.
    pub(crate) first: Duration,
    /// What a wait is multiplied by to give the next one.
    pub(crate) factor: u32,
    /// No wait is longer. At zero every restart is immediate.
    pub(crate) longest: Duration,
}

impl Backoff {
    /// 0, 50, 200, 800, 800 … ms.
    pub(crate) const DEFAULT: Self =
        Self { first: Duration::from_millis(50), factor: 4, longest: Duration::from_millis(800) };

    /// The wait before the next restart when `earlier` restarts in a row came before it.
    pub(crate) fn wait(&self, earlier: u32) -> Duration {
        let Some(exponent) = earlier.checked_sub(1) else { return Duration::ZERO };
        self.first.saturating_mul(self.factor.saturating_pow(exponent)).min(self.longest)
    }
}

/// What to do about a child that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Start it again after this time.
    After(Duration),
    /// Start nothing any more: the failures came too fast.
    GiveUp,
}

/// The recent failures of one supervisor's children. Holds at most `intensity` times.
#[derive(Debug)]
pub(crate) struct RestartLog {
    policy: RestartPolicy,
    /// Failures of the last `period`, oldest first.
    recent: VecDeque<Nanos>,
    /// Restarts since the last quiet period.
    in_a_row: u32,
    /// When the last restart was due.
    restarted_at: Nanos,
    given_up: bool,
}

impl RestartLog {
    pub(crate) fn new(policy: RestartPolicy) -> Self {
        Self { policy, recent: VecDeque::new(), in_a_row: 0, restarted_at: Nanos::ZERO, given_up: false }
    }

    /// Notes a failure at `now` and decides about it. `now` may be on any axis; where it goes back, the latest failure
    /// counts as now. Once it has said [`Restart::GiveUp`] it says nothing else.
    pub(crate) fn decide(&mut self, now: Nanos) -> Restart {
        let now = self.recent.back().map_or(now, |&last| now.max(last));
        self.forget_before(now.saturating_sub(self.policy.period.into()));
        let full = u32::try_from(self.recent.len()).is_ok_and(|failures| failures >= self.policy.intensity);
        self.given_up |= full;
        if self.given_up {
            return Restart::GiveUp;
        }
        self.recent.push_back(now);
        Restart::After(self.next_wait(now))
    }

    fn forget_before(&mut self, start: Nanos) {
        while self.recent.front().is_some_and(|&failure| failure < start) {
            self.recent.pop_front();
        }
    }

    /// The quiet time counts from the restart, not from the failure: a child is not quiet while it is down.
    fn next_wait(&mut self, now: Nanos) -> Duration {
        if now.saturating_sub(self.restarted_at) > self.policy.period.into() {
            self.in_a_row = 0;
        }
        let wait = self.policy.backoff.wait(self.in_a_row);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.restarted_at = now.saturating_add(wait.into());
        wait
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may panic")]
mod tests;
