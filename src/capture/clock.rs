//! The one clock of everything in a trace.

#[cfg(own_clock)]
use super::native::{scale::Scale, ticks};
use crate::model::time::Nanos;

/// Raw readings are the TSC where it is invariant (aarch64: the virtual counter), else `CLOCK_MONOTONIC`; only
/// differences mean anything. On Linux they are read in place, and equal to what the signal handler reads.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    #[cfg(own_clock)]
    Counter(Scale),
    #[cfg(own_clock)]
    Monotonic,
    /// Where the clocks above are not known, or a test moves the time.
    #[cfg(any(test, not(own_clock)))]
    Quanta(quanta::Clock),
}

impl Clock {
    /// Calibrates once a process, which takes 10 ms.
    #[cfg(own_clock)]
    pub(crate) fn new() -> Self {
        Self(ticks::prepare().map_or(Source::Monotonic, Source::Counter))
    }

    /// Calibrates once a process.
    #[cfg(not(own_clock))]
    pub(crate) fn new() -> Self {
        Self(Source::Quanta(quanta::Clock::new()))
    }

    /// A clock that a test moves by hand; one raw unit is one nanosecond.
    #[cfg(test)]
    pub(crate) fn mock() -> (Self, std::sync::Arc<quanta::Mock>) {
        let (quanta, mock) = quanta::Clock::mock();
        (Self(Source::Quanta(quanta)), mock)
    }

    /// The present reading.
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        match &self.0 {
            #[cfg(own_clock)]
            Source::Counter(_) => ticks::counter(),
            #[cfg(own_clock)]
            Source::Monotonic => ticks::without_counter(),
            #[cfg(any(test, not(own_clock)))]
            Source::Quanta(quanta) => quanta.raw(),
        }
    }

    /// The time from `start` to `end`, both raw; zero when `end` is earlier.
    #[inline]
    pub(crate) fn between(&self, start: u64, end: u64) -> Nanos {
        match &self.0 {
            #[cfg(own_clock)]
            Source::Counter(scale) => Nanos(scale.nanos(end.saturating_sub(start))),
            #[cfg(own_clock)]
            Source::Monotonic => Nanos(end.saturating_sub(start)),
            #[cfg(any(test, not(own_clock)))]
            Source::Quanta(quanta) => Nanos(quanta.delta_as_nanos(start, end)),
        }
    }
}
