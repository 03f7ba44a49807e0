//! What an [`Inbox`](super::Inbox) holds, and whether its reader is to be woken for it.

use crate::capture::rings::Rings;
use crate::safety::atomic::{ArrayQueue, AtomicBool, Ordering};

/// So many items are in a hurry by themselves: an eighth of the traces that may be active by default.
pub(super) const MANY: usize = 32;

/// A bounded queue that can be closed.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items: ArrayQueue<T>,
    rings: Rings,
    /// Nobody drains it any more.
    closed: AtomicBool,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { items: ArrayQueue::new(capacity.max(1)), rings: Rings::new(), closed: AtomicBool::new(false) }
    }

    pub(crate) fn rings(&self) -> &Rings {
        &self.rings
    }

    /// Queues `item`; says whether to wake, or gives it back when the queue is full or closed.
    pub(crate) fn push(&self, item: T) -> Result<bool, T> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(item);
        }
        self.items.push(item)?;
        let wakes = self.rings.ring() || self.items.len() >= MANY && self.rings.hurry();
        if self.closed.load(Ordering::SeqCst) {
            // Closed in between, after its last drain perhaps.
            while self.items.pop().is_some() {}
        }
        Ok(wakes)
    }

    /// Takes nothing from now on, and gives out what is queued.
    pub(crate) fn close(&self) -> Vec<T> {
        // Before the drain: of its change of the rings and a push's one is first. Either the drain sees the item, or the push
        // sees the flag.
        self.closed.store(true, Ordering::SeqCst);
        self.drain().collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Takes what is queued now: at most one queue's capacity, so that a busy producer cannot hold the drain.
    pub(crate) fn drain(&self) -> impl Iterator<Item = T> + '_ {
        self.rings.begin_drain();
        std::iter::from_fn(|| self.items.pop()).take(self.items.capacity())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
