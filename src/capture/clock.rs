//! The one clock of everything in a trace.

use crate::model::time::Nanos;

/// Raw readings are the TSC where it is invariant, else `CLOCK_MONOTONIC`; only differences mean anything.
#[derive(Debug, Clone)]
pub(crate) struct Clock(quanta::Clock);

impl Clock {
    /// Calibrates once a process (up to 200 ms of spinning where the TSC is noisy, usually about 10 ms).
    pub(crate) fn new() -> Self {
        Self(quanta::Clock::new())
    }

    /// A clock that a test moves by hand; one raw unit is one nanosecond.
    #[cfg(test)]
    pub(crate) fn mock() -> (Self, std::sync::Arc<quanta::Mock>) {
        let (clock, mock) = quanta::Clock::mock();
        (Self(clock), mock)
    }

    /// The present reading.
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        self.0.raw()
    }

    /// The time from `start` to `end`, both raw; zero when `end` is earlier.
    #[inline]
    pub(crate) fn between(&self, start: u64, end: u64) -> Nanos {
        Nanos(self.0.delta_as_nanos(start, end))
    }
}
