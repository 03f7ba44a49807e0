//! The unwinder's cache of one thread, in as many parts as the thread has use for.
//!
//! A rule is kept under its address modulo 509. A service's wakes and await sites have several hundred addresses between
//! them, so a third of them would share a place, and each time that one drives another out costs a microsecond of reading
//! unwind tables.

/// Parts of a thread that walks often: 8 x 509 rules, about 100 KB.
const PARTS: usize = 8;
/// Walks with one part, 12 KB: a thread that wakes a traced task now and then needs no more.
const WALKS_WITH_ONE: u32 = 256;
/// Places of one part, which is framehop's constant.
const PLACES: u64 = 509;

/// See the module. `C` is framehop's cache.
pub(super) struct Caches<C> {
    first: C,
    others: Vec<C>,
    walks: u32,
    make: fn() -> C,
}

impl<C> Caches<C> {
    pub(super) fn new(make: fn() -> C) -> Self {
        Self { first: make(), others: Vec::new(), walks: 0, make }
    }

    /// A walk begins.
    pub(super) fn begin(&mut self) {
        self.walks = self.walks.saturating_add(1);
        if self.walks == WALKS_WITH_ONE {
            self.others.extend((1..PARTS).map(|_| (self.make)()));
        }
    }

    /// The part for a rule of `address`.
    #[inline]
    pub(super) fn part(&mut self, address: u64) -> &mut C {
        // Independent of the place within a part.
        let part = (address / PLACES) as usize % PARTS;
        match self.others.get_mut(part.wrapping_sub(1)) {
            Some(other) => other,
            None => &mut self.first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_walks_often_has_more_parts_and_an_address_always_the_same() {
        static MADE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let mut caches = Caches::new(|| MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        assert_eq!((0..10_000).map(|address| *caches.part(address)).max(), Some(0));
        (0..WALKS_WITH_ONE).for_each(|_| caches.begin());
        let parts: std::collections::HashSet<_> = (0..10_000).map(|address| *caches.part(address)).collect();
        assert_eq!(parts.len(), PARTS);
        let part = *caches.part(4_711);
        assert_eq!(*caches.part(4_711), part);
        (0..WALKS_WITH_ONE * 10).for_each(|_| caches.begin());
        assert_eq!(MADE.load(std::sync::atomic::Ordering::Relaxed), PARTS);
    }
}
