//! The bounded queue between the threads that finish items and the one actor that ships them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Something whose memory can be stated.
pub(crate) trait Weighted {
    /// The bytes that it keeps allocated; must not change while it waits.
    fn weight_bytes(&self) -> usize;
}

/// The bounds of an [`Outbox`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutboxLimits {
    /// Items that may wait.
    pub(crate) items: NonZeroUsize,
    /// Bytes that may wait.
    pub(crate) bytes: usize,
    /// Items that are taken at once.
    pub(crate) batch: NonZeroUsize,
}

/// An item, with what has been tried for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Queued<T> {
    pub(crate) item: T,
    /// How often it was sent in vain.
    pub(crate) tries: u32,
    /// When it was sent for the first time.
    pub(crate) first_try: Option<Instant>,
}

impl<T> Queued<T> {
    /// An item that has not been tried.
    pub(crate) fn new(item: T) -> Self {
        Self { item, tries: 0, first_try: None }
    }
}

/// Why an outbox gave an item up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// It was the oldest, and a newer one needed its room.
    Full,
    /// It alone is heavier than all that may wait.
    TooLarge,
    /// It came after [`Outbox::close`].
    Closed,
}

type Doorbell = Arc<dyn Fn() + Send + Sync>;
type OnEvicted<T> = Box<dyn Fn(T, Eviction) + Send + Sync>;

/// Where items wait for a shipper. Cheap to clone; outlives any one actor instance.
///
/// A mutex, although several threads finish traces: they are few, each item took them ten microseconds at least, both
/// bounds have to hold together, and what is done under the lock moves pointers. Nothing is called, rung or dropped under it.
pub(crate) struct Outbox<T>(Arc<Inner<T>>);

struct Inner<T> {
    on_evicted: OnEvicted<T>,
    waiting: Mutex<Waiting<T>>,
}

struct Waiting<T> {
    limits: OutboxLimits,
    /// The oldest first, each with its weight.
    items: VecDeque<(Queued<T>, usize)>,
    /// The sum of the weights.
    bytes: usize,
    /// Set from the first full batch until one is taken, so that a burst rings once.
    rung: bool,
    closed: bool,
    doorbell: Option<Doorbell>,
}

impl<T: Weighted> Outbox<T> {
    /// Makes an empty outbox; `on_evicted` is given each item that finds or keeps no room.
    pub(crate) fn new(limits: OutboxLimits, on_evicted: impl Fn(T, Eviction) + Send + Sync + 'static) -> Self {
        let waiting = Waiting { limits, items: VecDeque::new(), bytes: 0, rung: false, closed: false, doorbell: None };
        Self(Arc::new(Inner { on_evicted: Box::new(on_evicted), waiting: Mutex::new(waiting) }))
    }

    /// Queues an item, evicting the oldest if there is no room. Never waits for the actor.
    pub(crate) fn push(&self, item: T) {
        let weight = item.weight_bytes();
        let (evicted, ring) = {
            let mut waiting = self.lock();
            if let Some(reason) = waiting.refusal(weight) {
                drop(waiting);
                return (self.0.on_evicted)(item, reason);
            }
            waiting.bytes = waiting.bytes.saturating_add(weight);
            waiting.items.push_back((Queued::new(item), weight));
            (waiting.evict(), waiting.doorbell_if_full())
        };
        self.report(evicted);
        if let Some(ring) = ring {
            ring();
        }
    }

    /// Returns a batch that could not be shipped: its items are the oldest again, in their order. They are
    /// also the first to go if there is no room for them any more. Does not ring: who returns a batch
    /// decides when to try again.
    pub(crate) fn put_back(&self, batch: impl IntoIterator<Item = Queued<T>, IntoIter: DoubleEndedIterator>) {
        let mut back = batch.into_iter().rev().map(|back| (back.item.weight_bytes(), back)).collect::<Vec<_>>();
        let evicted = {
            let mut waiting = self.lock();
            if waiting.closed {
                drop(waiting);
                return back.drain(..).rev().for_each(|(_, back)| (self.0.on_evicted)(back.item, Eviction::Closed));
            }
            for (weight, back) in back {
                waiting.bytes = waiting.bytes.saturating_add(weight);
                waiting.items.push_front((back, weight));
            }
            waiting.evict()
        };
        self.report(evicted);
    }

    /// Points the doorbell at a newly started actor, and rings it if a full batch waits already.
    ///
    /// `doorbell` is called on the producers' threads and must not block.
    pub(crate) fn connect(&self, doorbell: impl Fn() + Send + Sync + 'static) {
        let (old, ring) = {
            let mut waiting = self.lock();
            // What was rung may have been a predecessor that never came.
            waiting.rung = false;
            let old = waiting.doorbell.replace(Arc::new(doorbell));
            (old, waiting.doorbell_if_full())
        };
        drop(old);
        if let Some(ring) = ring {
            ring();
        }
    }

    /// Answers the doorbell: takes up to one batch, the oldest first. Empty when nothing waits.
    pub(crate) fn take_batch(&self) -> Vec<Queued<T>> {
        let mut waiting = self.lock();
        waiting.rung = false;
        let count = waiting.limits.batch.get().min(waiting.items.len());
        waiting.take(count)
    }

    /// Takes all that waits; what comes later is given to `on_evicted` at once, so that none is lost unseen.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut waiting = self.lock();
        waiting.closed = true;
        let count = waiting.items.len();
        waiting.take(count).into_iter().map(|queued| queued.item).collect()
    }

    /// Whether as much waits as the doorbell is rung for.
    pub(crate) fn has_full_batch(&self) -> bool {
        self.lock().is_full()
    }

    /// Changes the bounds; what is above them is evicted now.
    pub(crate) fn set_limits(&self, limits: OutboxLimits) {
        let evicted = {
            let mut waiting = self.lock();
            waiting.limits = limits;
            waiting.evict()
        };
        self.report(evicted);
    }

    /// Items that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn report(&self, evicted: Vec<T>) {
        for item in evicted {
            (self.0.on_evicted)(item, Eviction::Full);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    /// Why an item of this weight cannot wait at all.
    fn refusal(&self, weight: usize) -> Option<Eviction> {
        if self.closed {
            return Some(Eviction::Closed);
        }
        (weight > self.limits.bytes).then_some(Eviction::TooLarge)
    }

    /// Takes the oldest items out until both bounds hold.
    fn evict(&mut self) -> Vec<T> {
        let mut evicted = Vec::new();
        while self.items.len() > self.limits.items.get() || self.bytes > self.limits.bytes {
            let Some(oldest) = self.pop() else { break };
            evicted.push(oldest.item);
        }
        evicted
    }

    fn take(&mut self, count: usize) -> Vec<Queued<T>> {
        std::iter::from_fn(|| self.pop()).take(count).collect()
    }

    fn pop(&mut self) -> Option<Queued<T>> {
        let (item, weight) = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(weight);
        Some(item)
    }

    /// Half of the bytes count as a full batch as well: heavy items would otherwise push each other out before there are
    /// enough of them.
    fn is_full(&self) -> bool {
        self.items.len() >= self.limits.batch.get() || self.bytes > self.limits.bytes / 2
    }

    /// The doorbell, if it is to be rung now.
    fn doorbell_if_full(&mut self) -> Option<Doorbell> {
        if !self.is_full() || self.rung {
            return None;
        }
        // Without an actor there is nobody to come, and the next one looks for itself.
        let doorbell = self.doorbell.clone()?;
        self.rung = true;
        Some(doorbell)
    }
}

// Not derived: a derive would ask for `T: Clone`.
impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> std::fmt::Debug for Outbox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}
