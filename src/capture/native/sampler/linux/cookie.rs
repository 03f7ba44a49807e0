//! What a timer says of itself: the one value that the kernel carries from `timer_create` to the handler.
//!
//! ```text
//!  63      48 47      32 31        20 19            0
//! │  magic   │  copy    │  slot       │  generation   │
//! ```
//! Other users of the same signal put pointers or small numbers there, and none of these has the magic: pointers of user
//! space begin with 16 zeroes. `copy` tells apart two copies of this crate in one process. A slot gets a new generation
//! with each timer, so a tick of one that was deleted meanwhile is not taken for the present one's.

const MAGIC: u64 = 0xF1A3;
const SLOT_BITS: u32 = 12;
const GENERATION_BITS: u32 = 20;
/// As many as the index of a slot has values.
pub(super) const MAX_SLOTS: usize = 1 << SLOT_BITS;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;
/// The generation of a slot that has had no timer yet.
const NO_GENERATION: u32 = 0;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie(u64);

impl Cookie {
    /// Of the slot at `slot` (below [`MAX_SLOTS`]) in the `generation` that it has now.
    pub(super) fn new(slot: usize, generation: u32) -> Self {
        let number = (slot as u64) << GENERATION_BITS | u64::from(generation & GENERATION_MASK);
        Self(start() << 32 | number)
    }

    /// Of a timer that belongs to no slot: no timer of a slot is ever of its generation.
    pub(super) fn of_no_slot() -> Self {
        Self::new(0, NO_GENERATION)
    }

    /// The generation after `generation` that a slot's timer can have.
    pub(super) fn next_generation(generation: u32) -> u32 {
        let next = generation.wrapping_add(1);
        if next & GENERATION_MASK == NO_GENERATION { next.wrapping_add(1) } else { next }
    }

    #[inline]
    pub(super) fn is_of_no_slot(self) -> bool {
        self.is_of(NO_GENERATION)
    }

    /// Reads what a signal carries; `None` when that is not a cookie of ours. Async-signal-safe.
    #[inline]
    pub(super) fn read(value: u64) -> Option<Self> {
        (value >> 32 == start()).then_some(Self(value))
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) fn slot(self) -> usize {
        (self.0 as u32 >> GENERATION_BITS) as usize
    }

    #[inline]
    pub(super) fn is_of(self, generation: u32) -> bool {
        self.0 as u32 & GENERATION_MASK == generation & GENERATION_MASK
    }
}

/// Magic and copy. The address of a static is as good as a name; its lowest bits are the same in every copy.
#[inline]
fn start() -> u64 {
    static NAME: u64 = 0;
    let copy = std::ptr::from_ref(&NAME).addr() as u64 >> 3 & 0xFFFF;
    MAGIC << 16 | copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_slot_is_ever_in_the_generation_of_none() {
        for generation in [0, 1, GENERATION_MASK - 1, GENERATION_MASK, 1 << GENERATION_BITS, u32::MAX] {
            let next = Cookie::next_generation(generation);
            assert!(!Cookie::new(7, next).is_of_no_slot() && !Cookie::new(7, next).is_of(generation), "{generation}");
        }
        assert!(Cookie::of_no_slot().is_of_no_slot());
    }

    #[test]
    fn a_cookie_gives_back_its_slot_and_generation() {
        for (slot, generation) in [(0, 0), (1, 1), (MAX_SLOTS - 1, GENERATION_MASK), (77, 1 << GENERATION_BITS)] {
            let cookie = Cookie::read(Cookie::new(slot, generation).value());
            assert_eq!(cookie.map(Cookie::slot), Some(slot));
            assert!(cookie.is_some_and(|cookie| cookie.is_of(generation) && !cookie.is_of(generation + 1)));
            let is_of_no_slot = cookie.map(Cookie::is_of_no_slot);
            assert_eq!(is_of_no_slot, Some(generation.trailing_zeros() >= GENERATION_BITS));
        }
    }

    #[test]
    fn pointers_numbers_and_other_copies_are_not_ours() {
        let other_copy = Cookie::new(3, 4).value() ^ 1 << 32;
        let local = 0u8;
        for value in [0, 1, u64::MAX, std::ptr::from_ref(&local).addr() as u64, other_copy] {
            assert_eq!(Cookie::read(value), None, "{value:#x}");
        }
    }
}
