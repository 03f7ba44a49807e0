//! The handle's side of error capture.

use std::sync::Arc;

use super::FlameOn;
use super::registry;
use crate::errors::capture;
use crate::errors::core::ErrorCore;
use crate::errors::report::Report;
use crate::model::ids::EventId;

impl FlameOn {
    /// Captures a report through this agent; see [`capture_error`](crate::capture_error).
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// flame_on.capture(flame_on::Report::message("the price list is old").tag("shop", "eu"));
    /// ```
    pub fn capture(&self, report: Report<'_>) -> EventId {
        match self.errors() {
            Some(core) => self.in_context(|| capture::capture(core, report)),
            None => EventId::NIL,
        }
    }

    /// What captures errors; `None` when `capture_errors` is off.
    pub(crate) fn errors(&self) -> Option<&Arc<ErrorCore>> {
        self.0.as_ref()?.made.errors.as_ref().map(|errors| &errors.core)
    }

    /// As [`FlameOn::current`], for the panic hook.
    pub(crate) fn current_in_panic() -> Self {
        registry::current_in_panic()
    }
}
