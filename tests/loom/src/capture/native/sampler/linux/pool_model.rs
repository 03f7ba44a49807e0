//! Threads that take slots and give them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::cell::UnsafeCell;
use loom::thread;

use super::cookie::MAX_SLOTS;
use super::pool::{self, Refusal};
use super::slot::Slot;

struct Owned {
    /// What only its owner writes, for each slot: it stands for the ring, and for the stack's bounds.
    slots: [UnsafeCell<u32>; MAX_SLOTS],
    owners: AtomicUsize,
}

// SAFETY: loom looks at every access.
unsafe impl Sync for Owned {}
// SAFETY: as above.
unsafe impl Send for Owned {}

impl Owned {
    fn new() -> Arc<Self> {
        Arc::new(Self { slots: std::array::from_fn(|_| UnsafeCell::new(0)), owners: AtomicUsize::new(0) })
    }

    fn is_written(&self, slot: &'static Slot) {
        let index = (0..MAX_SLOTS).find(|index| pool::get(*index).is_some_and(|other| std::ptr::eq(other, slot)));
        self.slots[index.unwrap()].with_mut(|owned| {
            // SAFETY: loom has found that nobody else is at it.
            unsafe { *owned += 1 }
        });
    }
}

fn take_and_release(owned: &Owned, max: usize) -> bool {
    match pool::take(max) {
        Ok(slot) => {
            assert!(owned.owners.fetch_add(1, Relaxed) < max, "more than that have one");
            owned.is_written(slot);
            assert!(slot.is_owned());
            owned.owners.fetch_sub(1, Relaxed);
            pool::release(slot);
            true
        }
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Full);
            false
        }
    }
}

/// Both get one, a new one or the other's.
pub(crate) fn two_threads() {
    let owned = Owned::new();
    let other = {
        let owned = owned.clone();
        thread::spawn(move || assert!(take_and_release(&owned, 2)))
    };
    assert!(take_and_release(&owned, 2));
    other.join().unwrap();
    assert!(take_and_release(&owned, 1), "all were given back");
}

/// At most one has it.
pub(crate) fn two_threads_and_one_slot() {
    let owned = Owned::new();
    let changes = pool::changes();
    let other = {
        let owned = owned.clone();
        thread::spawn(move || take_and_release(&owned, 1))
    };
    let one = take_and_release(&owned, 1);
    assert!(other.join().unwrap() || one);
    assert!(pool::changes() > changes, "who was refused may ask again");
    assert!(take_and_release(&owned, 1), "all were given back");
}
