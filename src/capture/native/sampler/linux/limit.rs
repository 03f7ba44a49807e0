//! At most so many samples a second over all threads.

use crate::safety::atomic::{AtomicU64, Ordering};

/// 5,000 samples of 0.5 µs and a copy take half a percent of one core.
const PER_SECOND: u64 = 5_000;
const COST: u64 = 1_000_000_000 / PER_SECOND;
/// How far a burst may run ahead: 20 ms, which is what five busy threads at 1 kHz take in that time.
const BURST: u64 = 100 * COST;

/// A token bucket in one word: the time up to which all samples so far are paid for.
#[derive(Debug)]
pub(super) struct Limit(pub(super) AtomicU64);

impl Limit {
    /// Whether one more sample may be taken at `now`, in nanoseconds. Async-signal-safe; tries a bounded number of
    /// times against other threads and then says no.
    pub(super) fn allows(&self, now: u64) -> bool {
        // Relaxed: the word stands for itself and orders nothing.
        let mut paid = self.0.load(Ordering::Relaxed);
        for _ in 0..4 {
            let next = paid.max(now.saturating_sub(BURST)).saturating_add(COST);
            if next > now {
                return false;
            }
            match self.0.compare_exchange_weak(paid, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => paid = other,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_second_of_more_ticks_than_allowed_gives_what_is_allowed() {
        let limit = Limit(AtomicU64::new(0));
        let allowed = (0..20_000).filter(|tick| limit.allows(SECOND + tick * (SECOND / 20_000))).count();
        assert!((5_000..=5_100).contains(&allowed), "{allowed}");
    }

    #[test]
    fn a_burst_after_a_rest_is_bounded() {
        let limit = Limit(AtomicU64::new(0));
        let at_once = (0..1_000).filter(|_| limit.allows(3_600 * SECOND)).count();
        assert_eq!(at_once, 100);
        assert!(limit.allows(3_600 * SECOND + COST));
        assert!(!limit.allows(3_600 * SECOND + COST));
    }

    #[test]
    fn fewer_ticks_than_allowed_all_pass() {
        let limit = Limit(AtomicU64::new(0));
        assert!((0..10_000).all(|tick| limit.allows(SECOND + tick * COST)));
    }
}
