//! What admission and recording go by, and what can change while the agent runs.

use std::sync::Arc;
use std::time::Duration;

use super::dice::RateLimit;
use crate::model::config::Limits;
use crate::model::config::event_rules::EventRule;

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

    /// What the configuration says about the event `name`.
    pub(crate) fn of(&self, name: &str) -> EventRule {
        self.limits.events.of(name)
    }

    /// The limit for an event.
    pub(crate) fn rate_of(&self, event: &EventRule) -> RateLimit {
        RateLimit::from_rate(event.sample_rate.unwrap_or(self.limits.sample_rate))
    }

    /// The threshold of an event: what the configuration says, else `handlers`, else `default`.
    pub(crate) fn threshold(&self, event: &EventRule, handlers: Option<Duration>, default: Duration) -> Duration {
        event.threshold.or(self.threshold_for_tests).or(handlers).unwrap_or(default)
    }
}
