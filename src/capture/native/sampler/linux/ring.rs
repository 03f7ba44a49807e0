//! The samples of one thread, on their way to the agent.
//!
//! ```text
//!   0        tail % CAPACITY             head % CAPACITY      CAPACITY
//!   ├─ free ──┼─ record ─┬─ record ─ … ───┼─ free ─────────────┤
//! ```
//!
//! One producer (the handler in the owning thread) and one consumer (who holds the drain lock). A record lies in one
//! piece and begins with its length in words; a zero there means that the next one is at the beginning of the ring.

use std::alloc::Layout;

use crate::safety::atomic::{AtomicUsize, Ordering};

/// 256 KiB: twenty samples of 12 KiB, the ticks between two looks; thirty of 8 KiB; or three of the largest.
pub(super) const CAPACITY: usize = 32 * 1024;

/// A queue of records of words, for two threads.
#[derive(Debug)]
pub(super) struct Ring {
    words: *mut u64,
    /// How many words were ever written, gaps included. Stored by the producer only.
    head: AtomicUsize,
    /// How many were ever read. Stored by the consumer only, and at most `head`.
    tail: AtomicUsize,
}

// SAFETY: `words` is never freed and points to `CAPACITY` words. Those between `tail` and `head` belong to the consumer,
// the others to the producer, and each hands over with a Release store that the other reads with Acquire.
unsafe impl Send for Ring {}
// SAFETY: as above; who is producer and who consumer is promised by the callers of `reserve` and `read`.
unsafe impl Sync for Ring {}

/// A place for one record.
#[derive(Debug)]
pub(super) struct Room {
    at: usize,
    head: usize,
}

impl Ring {
    /// An empty ring, whose memory is never given back. `None` when there is none.
    pub(super) fn leaked() -> Option<Self> {
        let layout = Layout::array::<u64>(CAPACITY).ok()?;
        // SAFETY: the layout is not empty. Zeroed: large blocks come from the kernel untouched, and become resident
        // page by page.
        let words = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<u64>();
        (!words.is_null()).then_some(Self { words, head: AtomicUsize::new(0), tail: AtomicUsize::new(0) })
    }

    /// A place for a record of `words` words (1 to `CAPACITY`); `None` when the ring is full. Async-signal-safe.
    ///
    /// # Safety
    /// The caller is the only producer until it has committed or let go of the place.
    #[inline]
    pub(super) unsafe fn reserve(&self, words: usize) -> Option<Room> {
        let head = self.head.load(Ordering::Relaxed);
        // Acquire: pairs with the Release in `read`, after which the consumer does not look at these words.
        let tail = self.tail.load(Ordering::Acquire);
        let at = head % CAPACITY;
        let stays = words <= CAPACITY - at;
        let gap = if stays { 0 } else { CAPACITY - at };
        let end = head.wrapping_add(gap).wrapping_add(words);
        if end.wrapping_sub(tail) > CAPACITY {
            return None;
        }
        if gap > 0 {
            // SAFETY: `at` is below `CAPACITY`, and free words are the producer's.
            unsafe { self.words.add(at).write(0) };
        }
        Some(Room { at: if stays { at } else { 0 }, head: end })
    }

    /// Where the record's words go.
    #[inline]
    pub(super) fn target(&self, room: &Room) -> *mut u64 {
        // SAFETY: `reserve` keeps `at` and the record within the ring.
        unsafe { self.words.add(room.at) }
    }

    /// Hands the record to the consumer. Its first word holds its length.
    #[inline]
    pub(super) fn commit(&self, room: &Room) {
        // Release: pairs with the Acquire in `read`; the record's words come before.
        self.head.store(room.head, Ordering::Release);
    }

    /// Takes out all records that were committed before, oldest first. One at which `each` panics is taken out too.
    ///
    /// # Safety
    /// The caller is the only consumer.
    pub(super) unsafe fn read(&self, mut each: impl FnMut(&[u64])) {
        // Acquire: pairs with the Release in `commit`.
        let head = self.head.load(Ordering::Acquire);
        let mut tail = self.tail.load(Ordering::Relaxed);
        while tail != head {
            let at = tail % CAPACITY;
            // SAFETY: words between `tail` and `head` are the consumer's, and were written.
            let length = unsafe { self.words.add(at).read() } & u64::from(u32::MAX);
            let length = length as usize;
            if length == 0 {
                tail = tail.wrapping_add(CAPACITY - at);
                continue;
            }
            if length > CAPACITY - at || length > head.wrapping_sub(tail) {
                // Never written by us: somebody's stray pointer. What is left cannot be told apart.
                tail = head;
                break;
            }
            tail = tail.wrapping_add(length);
            let _taken = Taken { ring: self, tail };
            // SAFETY: the record lies within the ring and is the consumer's until `Taken` is dropped.
            each(unsafe { std::slice::from_raw_parts(self.words.add(at), length) });
        }
        self.tail.store(tail, Ordering::Release);
    }
}

/// Gives a record's words back to the producer, also when its reader panics.
struct Taken<'a> {
    ring: &'a Ring,
    tail: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `reserve`; the record was read before.
        self.ring.tail.store(self.tail, Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn push(ring: &Ring, length: usize, value: u64) -> bool {
        // SAFETY: the only producer, and the record lies within the ring.
        unsafe {
            let Some(room) = ring.reserve(length) else { return false };
            let target = ring.target(&room);
            target.write(length as u64);
            (1..length).for_each(|at| target.add(at).write(value));
            ring.commit(&room);
        }
        true
    }

    fn values(ring: &Ring) -> Vec<(usize, u64)> {
        let mut read = Vec::new();
        // SAFETY: the only consumer.
        unsafe {
            ring.read(|words| {
                assert!(words[1..].iter().all(|word| *word == words[1]), "two records have mixed");
                read.push((words.len(), words[1]));
            });
        }
        read
    }

    #[test]
    fn records_come_out_in_order_and_whole_around_the_end() {
        let ring = Ring::leaked().unwrap();
        let (mut pushed, mut read) = (Vec::new(), Vec::new());
        for value in 0..2_000 {
            let length = 2 + (value as usize * 37) % 3_000;
            if push(&ring, length, value) {
                pushed.push((length, value));
            }
            if value % 7 == 0 {
                read.append(&mut values(&ring));
            }
        }
        read.append(&mut values(&ring));
        assert_eq!(read, pushed);
        assert!(pushed.len() > 1_500);
    }

    #[test]
    fn a_full_ring_refuses_and_takes_again_once_read() {
        let ring = Ring::leaked().unwrap();
        let fitted = (0..).take_while(|value| push(&ring, 1_000, *value)).count();
        assert_eq!(fitted, CAPACITY / 1_000);
        assert!(!push(&ring, 1_000, 0));
        assert_eq!(values(&ring).len(), fitted);
        assert!(push(&ring, 1_000, 5));
        assert_eq!(values(&ring), [(1_000, 5)]);
    }

    #[test]
    fn a_reader_that_panics_loses_one_record() {
        let ring = Ring::leaked().unwrap();
        assert!(push(&ring, 2, 1) && push(&ring, 2, 2));
        let read = std::panic::AssertUnwindSafe(|| {
            // SAFETY: the only consumer.
            unsafe { ring.read(|_| std::panic::resume_unwind(Box::new(()))) }
        });
        assert!(std::panic::catch_unwind(read).is_err());
        assert_eq!(values(&ring), [(2, 2)]);
    }

    #[test]
    fn two_threads_lose_and_mix_nothing() {
        let ring = Ring::leaked().unwrap();
        let count = if cfg!(miri) { 100 } else { 100_000 };
        let mut read = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 0..count {
                    while !push(&ring, 2 + value as usize % 200, value) {
                        std::thread::yield_now();
                    }
                }
            });
            while read.len() < count as usize {
                read.append(&mut values(&ring));
                std::thread::yield_now();
            }
        });
        assert!(read.iter().enumerate().all(|(at, (_, value))| at as u64 == *value));
    }
}
