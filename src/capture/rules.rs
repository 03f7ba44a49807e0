//! What admission and recording go by, and what can change while the agent runs.

use std::sync::Arc;
use std::time::Duration;

use super::dice::RateLimit;
use crate::model::config::Limits;

/// The checked configuration as it is in force.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) limits: Arc<Limits>,
    /// A host's tests want to see every trace, whatever its handler says.
    pub(crate) threshold_for_tests: Option<Duration>,
}

impl Rules {
    /// What the dice are rolled against before the event is looked at.
    pub(crate) fn highest_rate(&self) -> RateLimit {
        RateLimit::from_rate(self.limits.events.highest_rate(self.limits.sample_rate))
    }

    /// The limit for the event `name`.
    pub(crate) fn rate_of(&self, name: &str) -> RateLimit {
        RateLimit::from_rate(self.limits.events.of(name).sample_rate.unwrap_or(self.limits.sample_rate))
    }

    /// Whether the configuration switches the event `name` off.
    pub(crate) fn is_off(&self, name: &str) -> bool {
        !self.limits.events.of(name).capture
    }

    /// The threshold of the event `name`: what the configuration says, else `handlers`, else `default`.
    pub(crate) fn threshold(&self, name: &str, handlers: Option<Duration>, default: Duration) -> Duration {
        let own = self.limits.events.of(name).threshold;
        own.or(self.threshold_for_tests).or(handlers).unwrap_or(default)
    }
}
