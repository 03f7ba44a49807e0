//! All slots of the process. Without a lock: a host thread takes one in the middle of a poll, and gives it back as it ends.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::cookie::MAX_SLOTS;
use super::running::Poll;
use super::slot::Slot;
use crate::safety::atomic::{AtomicPtr, AtomicU64, AtomicUsize, array_of, statics};

statics! {
    /// Filled from the beginning, without gaps; what is there stays.
    static SLOTS: [AtomicPtr<Slot>; MAX_SLOTS] = array_of![AtomicPtr::new(std::ptr::null_mut()); MAX_SLOTS];
    static IN_USE: AtomicUsize = AtomicUsize::new(0);
    /// Moves when a thread that got nothing may get something.
    static CHANGES: AtomicU64 = AtomicU64::new(1);
}

/// Why a thread gets no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As many threads as allowed have one.
    Full,
    NoMemory,
}

/// The slot at `index`. Async-signal-safe.
#[inline]
pub(super) fn get(index: usize) -> Option<&'static Slot> {
    // Acquire: pairs with the exchange in `take`.
    let slot = SLOTS.get(index)?.load(Acquire);
    // SAFETY: null, or a slot that was leaked before it was put there.
    unsafe { slot.as_ref() }
}

/// Every slot that there is, owned or not.
pub(super) fn slots() -> impl Iterator<Item = &'static Slot> {
    (0..MAX_SLOTS).map_while(get)
}

/// A slot for the calling thread; at most `max` threads have one at a time.
pub(super) fn take(max: usize) -> Result<&'static Slot, Refusal> {
    if IN_USE.fetch_add(1, Relaxed) >= max {
        IN_USE.fetch_sub(1, Relaxed);
        return Err(Refusal::Full);
    }
    let slot = slots().find(|slot| slot.try_own()).map_or_else(add, Ok);
    if slot.is_err() {
        IN_USE.fetch_sub(1, Relaxed);
    }
    slot
}

fn add() -> Result<&'static Slot, Refusal> {
    for (index, place) in SLOTS.iter().enumerate() {
        if !place.load(Relaxed).is_null() {
            continue;
        }
        let slot = Slot::leaked(index).ok_or(Refusal::NoMemory)?;
        let pointer = std::ptr::from_ref(slot).cast_mut();
        // AcqRel: whoever finds the slot finds it initialised.
        if place.compare_exchange(std::ptr::null_mut(), pointer, AcqRel, Relaxed).is_ok() {
            return Ok(slot);
        }
        // Another thread was faster. What was made here stays unused: it happens once a slot at the most.
    }
    Err(Refusal::Full)
}

/// Takes a slot back from its owner, the calling thread.
pub(super) fn release(slot: &'static Slot) {
    give_up(slot);
    has_changed();
}

/// As `release`, where the kernel gave no timer for it: to others it would give none either, and they would ask in turns, in
/// each of their polls.
pub(super) fn give_up(slot: &'static Slot) {
    slot.running.replace(Poll::default());
    slot.delete_timer();
    slot.give_back();
    IN_USE.fetch_sub(1, Relaxed);
}

/// A thread that got nothing may ask again.
pub(super) fn has_changed() {
    CHANGES.fetch_add(1, Relaxed);
}

/// Never zero.
pub(super) fn changes() -> u64 {
    CHANGES.load(Relaxed)
}
