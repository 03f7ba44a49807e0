//! The one clock of everything in a trace.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use super::native::ticks;
use crate::model::time::Nanos;

/// Raw readings are the TSC where it is invariant (aarch64: the virtual counter), else `CLOCK_MONOTONIC`; only
/// differences mean anything.
///
/// On Linux they are read in place, and equal to what the signal handler reads; quanta calibrates and converts.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    quanta: quanta::Clock,
    #[cfg(test)]
    is_mock: bool,
}

impl Clock {
    /// Calibrates once a process (up to 200 ms of spinning where the TSC is noisy, usually about 10 ms).
    pub(crate) fn new() -> Self {
        let quanta = quanta::Clock::new();
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        ticks::prepare(&quanta);
        Self {
            quanta,
            #[cfg(test)]
            is_mock: false,
        }
    }

    /// A clock that a test moves by hand; one raw unit is one nanosecond.
    #[cfg(test)]
    pub(crate) fn mock() -> (Self, std::sync::Arc<quanta::Mock>) {
        let (quanta, mock) = quanta::Clock::mock();
        (Self { quanta, is_mock: true }, mock)
    }

    /// The present reading.
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        #[cfg(test)]
        if self.is_mock {
            return self.quanta.raw();
        }
        ticks::now()
    }

    /// The present reading.
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    #[inline]
    pub(crate) fn raw(&self) -> u64 {
        self.quanta.raw()
    }

    /// The time from `start` to `end`, both raw; zero when `end` is earlier.
    #[inline]
    pub(crate) fn between(&self, start: u64, end: u64) -> Nanos {
        Nanos(self.quanta.delta_as_nanos(start, end))
    }
}
