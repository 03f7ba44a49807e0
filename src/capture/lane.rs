//! The way of a trace's chunks to its session, from the second chunk on.

use super::chunk::ChunkRef;
use crate::safety::atomic::ArrayQueue;
use crate::safety::budget::{CaptureBudget, Reservation};

/// Bytes of one place in a lane: the handle, and the queue's own stamp.
const SLOT_BYTES: u64 = (size_of::<ChunkRef>() + size_of::<usize>()) as u64;
/// Lanes kept for reuse: as many long traces as end within a few milliseconds.
const POOLED_LANES: usize = 64;
/// Lanes that wait for reuse take at most this part of the budget.
const IDLE_PART: u64 = 16;

/// Chunk handles in the order of writing.
#[derive(Debug)]
pub(crate) struct ChunkLane {
    queue: ArrayQueue<ChunkRef>,
    bytes: Reservation,
}

impl ChunkLane {
    /// False when as many chunks wait as the trace may have.
    pub(crate) fn push(&self, chunk: ChunkRef) -> bool {
        self.queue.push(chunk).is_ok()
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.queue.len() >= self.queue.capacity().div_ceil(2)
    }

    pub(crate) fn pop(&self) -> Option<ChunkRef> {
        self.queue.pop()
    }
}

/// Where lanes come from and return to.
#[derive(Debug)]
pub(crate) struct LanePool {
    free: ArrayQueue<Box<ChunkLane>>,
    budget: CaptureBudget,
}

impl LanePool {
    pub(crate) fn new(budget: CaptureBudget) -> Self {
        Self { free: ArrayQueue::new(POOLED_LANES), budget }
    }

    /// An empty lane for `chunks` chunks (at least one); `None` when the budget is used up.
    pub(crate) fn take(&self, chunks: usize) -> Option<Box<ChunkLane>> {
        let chunks = chunks.max(1);
        // One of another size was made under an earlier configuration.
        let pooled = self.free.pop().filter(|lane| lane.queue.capacity() == chunks);
        pooled.or_else(|| {
            let bytes = self.budget.try_reserve(SLOT_BYTES.saturating_mul(chunks as u64))?;
            Some(Box::new(ChunkLane { queue: ArrayQueue::new(chunks), bytes }))
        })
    }

    /// Takes back a lane that nobody uses any more.
    pub(crate) fn give_back(&self, lane: Box<ChunkLane>) {
        while lane.pop().is_some() {}
        let idle = lane.bytes.bytes().saturating_mul(self.free.len() as u64 + 1);
        if idle <= self.budget.max() / IDLE_PART {
            // A full pool hands it back, and it is freed here.
            drop(self.free.push(lane));
        }
    }

    /// Frees the lanes that wait for reuse.
    pub(crate) fn release_idle(&self) {
        while self.free.pop().is_some() {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lanes_count_against_the_budget_and_few_are_kept_idle() {
        let budget = CaptureBudget::new(SLOT_BYTES * 16 * 4);
        let pool = LanePool::new(budget.clone());
        let lanes: Vec<_> = (0..16).map(|_| pool.take(4).unwrap()).collect();
        assert_eq!(budget.used(), budget.max());
        assert!(pool.take(4).is_none());
        lanes.into_iter().for_each(|lane| pool.give_back(lane));
        assert_eq!(budget.used(), budget.max() / 16, "one of sixteen is kept");
        assert!(pool.take(8).is_some(), "one of another size is not reused");
        pool.give_back(pool.take(4).unwrap());
        pool.release_idle();
        assert_eq!(budget.used(), 0);
    }
}
