//! The bytes that one agent may hold for captures: chunks, trees and finished traces together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `max_capture_bytes` of one agent. Clones share it. What is reserved never exceeds the bound, whoever asks at once.
#[derive(Clone)]
pub(crate) struct CaptureBudget(Arc<Shared>);

struct Shared {
    max: AtomicU64,
    used: AtomicU64,
}

/// Bytes held under the budget until it is dropped.
#[must_use = "dropping the reservation gives its bytes back at once"]
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    bytes: u64,
}

impl CaptureBudget {
    /// A budget of `max` bytes; with 0 only empty reservations succeed.
    pub(crate) fn new(max: u64) -> Self {
        Self(Arc::new(Shared { max: AtomicU64::new(max), used: AtomicU64::new(0) }))
    }

    /// Reserves `bytes`, or nothing when they do not fit. 0 bytes always fit: they are a reservation that can grow.
    pub(crate) fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.0.take(bytes).then(|| Reservation { shared: Arc::clone(&self.0), bytes })
    }

    /// Bytes reserved now.
    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The bound in force, in bytes.
    pub(crate) fn max(&self) -> u64 {
        self.0.max.load(Ordering::Relaxed)
    }

    /// Changes the bound. Lowered below what is in use it takes nothing back, but nothing grows until it is met.
    pub(crate) fn set_max(&self, max: u64) {
        self.0.max.store(max, Ordering::Relaxed);
    }
}

impl Reservation {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `by` bytes more; false, and nothing changed, when they do not fit.
    #[must_use = "false means that the bytes are not held"]
    pub(crate) fn grow(&mut self, by: u64) -> bool {
        let taken = self.shared.take(by);
        if taken {
            // Cannot wrap: `used` is at least as large and did not.
            self.bytes = self.bytes.saturating_add(by);
        }
        taken
    }

    /// Gives `by` bytes back, at most all that are held.
    pub(crate) fn shrink(&mut self, by: u64) {
        let by = by.min(self.bytes);
        self.bytes -= by;
        self.shared.give_back(by);
    }
}

impl Shared {
    fn take(&self, bytes: u64) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let within_max = |used: u64| used.checked_add(bytes).filter(|&sum| bytes == 0 || sum <= max);
        // Relaxed: the number guards no other memory, it is itself the bound.
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within_max).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.give_back(self.bytes);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for CaptureBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureBudget").field("used", &self.used()).field("max", &self.max()).finish()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_byte_fits_and_one_more_does_not() {
        let budget = CaptureBudget::new(100);
        let held = budget.try_reserve(100).unwrap();
        assert!(budget.try_reserve(1).is_none());
        drop(held);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_refused_growth_changes_nothing() {
        let budget = CaptureBudget::new(100);
        let mut held = budget.try_reserve(60).unwrap();
        assert!(held.grow(40));
        assert!(!held.grow(1));
        assert!(!held.grow(u64::MAX), "the sum does not wrap");
        assert_eq!((held.bytes(), budget.used()), (100, 100));
    }

    #[test]
    fn shrinking_gives_back_at_most_what_is_held() {
        let budget = CaptureBudget::new(100);
        let mut held = budget.try_reserve(60).unwrap();
        held.shrink(20);
        assert_eq!((held.bytes(), budget.used()), (40, 40));
        held.shrink(1_000);
        assert_eq!((held.bytes(), budget.used()), (0, 0));
    }

    #[test]
    fn a_lowered_bound_stops_growth_until_it_is_met() {
        let budget = CaptureBudget::new(100);
        let mut held = budget.try_reserve(80).unwrap();
        budget.set_max(50);
        assert!(!held.grow(1) && budget.try_reserve(1).is_none());
        assert!(budget.try_reserve(0).is_some());
        held.shrink(40);
        assert!(held.grow(10));
        assert_eq!(budget.used(), 50);
    }

    #[test]
    fn threads_never_pass_the_bound_and_leave_nothing_behind() {
        const MAX: u64 = 1_000;
        let budget = CaptureBudget::new(MAX);
        std::thread::scope(|scope| {
            for thread in 1..=8_u64 {
                let budget = &budget;
                scope.spawn(move || {
                    for round in 0..5_000_u64 {
                        if let Some(mut held) = budget.try_reserve((thread * round) % 301) {
                            assert!(budget.used() <= MAX);
                            if held.grow(round % 97) {
                                assert!(budget.used() <= MAX);
                                held.shrink(round % 53);
                            }
                            drop(held);
                        }
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Reserve(u64),
        Grow(prop::sample::Index, u64),
        Shrink(prop::sample::Index, u64),
        Drop(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        let which = any::<prop::sample::Index>;
        prop_oneof![
            (0_u64..80).prop_map(Step::Reserve),
            (which(), 0_u64..80).prop_map(|(at, by)| Step::Grow(at, by)),
            (which(), 0_u64..80).prop_map(|(at, by)| Step::Shrink(at, by)),
            which().prop_map(Step::Drop),
        ]
    }

    proptest! {
        #[test]
        fn what_is_used_is_the_sum_of_what_is_held(max in 0_u64..300, steps in prop::collection::vec(step(), 0..100)) {
            let budget = CaptureBudget::new(max);
            let mut held: Vec<Reservation> = Vec::new();
            for step in steps {
                let before = budget.used();
                match step {
                    Step::Reserve(bytes) => {
                        let reserved = budget.try_reserve(bytes);
                        prop_assert_eq!(reserved.is_some(), before + bytes <= max);
                        held.extend(reserved);
                    }
                    Step::Grow(at, by) if !held.is_empty() => {
                        let at = at.index(held.len());
                        prop_assert_eq!(held[at].grow(by), before + by <= max);
                    }
                    Step::Shrink(at, by) if !held.is_empty() => {
                        let at = at.index(held.len());
                        held[at].shrink(by);
                    }
                    Step::Drop(at) if !held.is_empty() => {
                        drop(held.swap_remove(at.index(held.len())));
                    }
                    _ => {}
                }
                prop_assert!(budget.used() <= max);
                prop_assert_eq!(budget.used(), held.iter().map(Reservation::bytes).sum::<u64>());
            }
            held.clear();
            prop_assert_eq!(budget.used(), 0);
        }
    }
}
