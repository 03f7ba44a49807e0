//! The agent's own few lines in the host's log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// At most one line from each place in this time.
const QUIET: Duration = Duration::from_secs(60);

/// Remembers when one place has last logged, and how often it was silenced since.
#[derive(Debug)]
pub(crate) struct LogLimit {
    /// Milliseconds since the process's first line, plus one; 0 = never.
    last: AtomicU64,
    silenced: AtomicU64,
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        Self { last: AtomicU64::new(0), silenced: AtomicU64::new(0) }
    }

    /// Whether to log now; if so, how many lines were silenced before this one.
    pub(crate) fn admits(&self, now: Duration) -> Option<u64> {
        let stamp = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last == 0 || Duration::from_millis(stamp.saturating_sub(last)) >= QUIET;
        // One of several that come at once wins.
        if is_due && self.last.compare_exchange(last, stamp, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.silenced.swap(0, Ordering::Relaxed));
        }
        self.silenced.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Time since the first call in this process.
pub(crate) fn uptime() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Logs a warning, at most once a minute from each place.
macro_rules! warn_limited {
    ($($message:tt)+) => {{
        static LIMIT: $crate::actors::log::LogLimit = $crate::actors::log::LogLimit::new();
        if let Some(silenced) = LIMIT.admits($crate::actors::log::uptime()) {
            tracing::warn!(target: "flame_on", silenced, $($message)+);
        }
    }};
}
pub(crate) use warn_limited;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_and_the_next_says_how_many_were_silenced() {
        let limit = LogLimit::new();
        assert_eq!(limit.admits(Duration::ZERO), Some(0));
        assert_eq!(limit.admits(Duration::from_secs(59)), None);
        assert_eq!(limit.admits(Duration::from_millis(59_999)), None);
        assert_eq!(limit.admits(Duration::from_secs(60)), Some(2));
    }
}
