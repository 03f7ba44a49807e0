//! Fixed-size blocks of events, written by one host thread while the session already reads them.
//!
//! ```text
//! writer  words[i] = event ─► len = i + 1 (Release)
//! reader                      len (Acquire) ─► words[..len]
//! ```
//! A session can therefore read what a sleeping task has written so far: that is how a trace can be ended
//! from outside without its task's help.

use std::sync::Arc;

use crate::safety::atomic::{ArrayQueue, AtomicU32, AtomicU64, Ordering, array_of};
use crate::safety::budget::{CaptureBudget, Reservation};

/// Events in a chunk: 512 x 16 bytes = 8 KiB, two pages; an ordinary request fits into one.
pub(crate) const CHUNK_EVENTS: usize = 512;
/// Bytes that a chunk is counted with.
pub(crate) const CHUNK_BYTES: u64 = CHUNK_EVENTS as u64 * 16;
/// Chunks kept for reuse: 64 x 8 KiB = 512 KiB.
const POOLED_CHUNKS: usize = 64;
/// Chunks that wait for reuse take at most this part of the budget: what they hold, no call tree can have.
const IDLE_PART: u64 = 8;

#[derive(Debug)]
struct Chunk {
    len: AtomicU32,
    /// References of the one who uses it and of its readers, not those of the pool. Counted beside the `Arc`'s own,
    /// whose last owner could only free it.
    owners: AtomicU32,
    _bytes: Reservation,
    words: [[AtomicU64; 2]; CHUNK_EVENTS],
}

/// One of the (at most two) owners of a chunk; the last one gives it back to the pool by its drop.
#[derive(Debug)]
pub(crate) struct ChunkRef {
    chunk: Option<Arc<Chunk>>,
    pool: Arc<ChunkPool>,
}

/// Where chunks come from and return to.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    free: ArrayQueue<Arc<Chunk>>,
    budget: CaptureBudget,
}

impl ChunkPool {
    pub(crate) fn new(budget: CaptureBudget) -> Arc<Self> {
        Arc::new(Self { free: ArrayQueue::new(POOLED_CHUNKS), budget })
    }

    /// An empty chunk, or `None` when the budget is used up.
    pub(crate) fn take(self: &Arc<Self>) -> Option<ChunkRef> {
        let chunk = match self.free.pop() {
            Some(chunk) => chunk,
            None => Arc::new(Chunk {
                len: AtomicU32::new(0),
                owners: AtomicU32::new(0),
                _bytes: self.budget.try_reserve(CHUNK_BYTES)?,
                words: array_of![[AtomicU64::new(0), AtomicU64::new(0)]; CHUNK_EVENTS],
            }),
        };
        // Relaxed, both: the pool's queue has ordered this after the last use.
        chunk.len.store(0, Ordering::Relaxed);
        chunk.owners.store(1, Ordering::Relaxed);
        Some(ChunkRef { chunk: Some(chunk), pool: self.clone() })
    }

    fn give_back(&self, chunk: Arc<Chunk>) {
        let idle = CHUNK_BYTES * (self.free.len() as u64 + 1);
        if idle <= self.budget.max() / IDLE_PART {
            // A full pool hands it back, and it is freed here.
            drop(self.free.push(chunk));
        }
    }

    /// Frees the chunks that wait for reuse, so that their bytes can be used for something else.
    pub(crate) fn release_idle(&self) {
        while self.free.pop().is_some() {}
    }
}

impl ChunkRef {
    /// Writes event number `index`; only the recorder does, in order.
    #[inline]
    pub(crate) fn write(&self, index: usize, word: u64, raw: u64) {
        let Some(chunk) = &self.chunk else { return };
        let Some(slot) = chunk.words.get(index) else { return };
        slot[0].store(word, Ordering::Relaxed);
        slot[1].store(raw, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "below CHUNK_EVENTS")]
        let len = index as u32 + 1;
        // Release: pairs with the Acquire in `len`, so a reader that sees the count sees the words.
        chunk.len.store(len, Ordering::Release);
    }

    /// Writes slots from `index` on, which a reader sees at once; only the recorder does, in order.
    #[cfg(native_capture)]
    pub(crate) fn write_all(&self, index: usize, slots: impl Iterator<Item = [u64; 2]>) {
        let Some(chunk) = &self.chunk else { return };
        let mut len = index;
        for (to, from) in chunk.words.iter().skip(index).zip(slots) {
            to[0].store(from[0], Ordering::Relaxed);
            to[1].store(from[1], Ordering::Relaxed);
            len += 1;
        }
        // Release: as in `write`.
        chunk.len.store(u32::try_from(len).unwrap_or(u32::MAX), Ordering::Release);
    }

    /// How many events have been written.
    pub(crate) fn len(&self) -> usize {
        self.chunk.as_ref().map_or(0, |chunk| chunk.len.load(Ordering::Acquire) as usize)
    }

    /// The events that have been written, from number `from` on: word and raw time.
    pub(crate) fn read(&self, from: usize) -> impl Iterator<Item = (u64, u64)> {
        let written = self.chunk.as_ref().and_then(|chunk| chunk.words.get(from..self.len())).unwrap_or_default();
        written.iter().map(|slot| (slot[0].load(Ordering::Relaxed), slot[1].load(Ordering::Relaxed)))
    }
}

impl Clone for ChunkRef {
    fn clone(&self) -> Self {
        if let Some(chunk) = &self.chunk {
            // Relaxed: whoever clones is an owner, so the count cannot reach zero meanwhile.
            chunk.owners.fetch_add(1, Ordering::Relaxed);
        }
        Self { chunk: self.chunk.clone(), pool: self.pool.clone() }
    }
}

impl Drop for ChunkRef {
    fn drop(&mut self) {
        let Some(chunk) = self.chunk.take() else { return };
        // AcqRel: the last owner's use of the pool comes after all that the others did to the chunk. Exactly one of two
        // that drop at the same time is the last; the other may hold its `Arc` a moment longer, and does nothing with it.
        if chunk.owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.pool.give_back(chunk);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_was_written_and_the_pool_gets_the_chunk_back() {
        let budget = CaptureBudget::new(CHUNK_BYTES * IDLE_PART);
        let others = budget.try_reserve(CHUNK_BYTES * (IDLE_PART - 1)).unwrap();
        let pool = ChunkPool::new(budget.clone());
        let writer = pool.take().unwrap();
        let reader = writer.clone();
        assert!(pool.take().is_none(), "the budget is one chunk");
        writer.write(0, 7, 8);
        assert_eq!(reader.read(0).collect::<Vec<_>>(), [(7, 8)]);
        drop(writer);
        assert!(pool.take().is_none(), "the reader still has it");
        drop(reader);
        assert_eq!(pool.take().unwrap().len(), 0);
        assert_eq!(budget.used(), others.bytes() + CHUNK_BYTES, "it waits for reuse");
        pool.release_idle();
        assert_eq!(budget.used(), others.bytes());
    }

    #[test]
    fn idle_chunks_leave_most_of_a_small_budget_to_others() {
        let budget = CaptureBudget::new(CHUNK_BYTES * IDLE_PART * 2);
        let pool = ChunkPool::new(budget.clone());
        let all: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(all.len() as u64, IDLE_PART * 2);
        drop(all);
        assert_eq!(budget.used(), budget.max() / IDLE_PART);
    }

    #[test]
    fn two_owners_that_drop_at_once_free_it_once() {
        let pool = ChunkPool::new(CaptureBudget::new(CHUNK_BYTES));
        for _ in 0..if cfg!(miri) { 30 } else { 2_000 } {
            let a = pool.take().unwrap();
            let b = a.clone();
            std::thread::scope(|scope| {
                scope.spawn(move || drop(a));
                drop(b);
            });
        }
        assert!(pool.take().is_some());
    }
}
