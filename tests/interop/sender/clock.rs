//! The clock that nobody sets or slews, as the agent's is: the two can be compared to the microsecond.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Duration);

impl Moment {
    #[cfg(target_os = "linux")]
    pub(crate) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicRaw);
        Self(Duration::try_from(now).unwrap_or(Duration::ZERO))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn now() -> Self {
        static FIRST: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
        Self(FIRST.elapsed())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
