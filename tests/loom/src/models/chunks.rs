//! Chunks between a recorder, its session and the pool.

use std::sync::{Arc, Mutex};

use loom::cell::UnsafeCell;
use loom::thread;

use crate::capture::chunk::{CHUNK_BYTES, ChunkPool, ChunkRef};
use crate::capture::lane::LanePool;
use crate::capture::reader::LaneReader;
use crate::capture::trace::SharedTrace;
use crate::safety::budget::CaptureBudget;

fn budget(chunks: u64) -> CaptureBudget {
    // One of them may wait for reuse, and half of one is left for a lane.
    CaptureBudget::new(CHUNK_BYTES * 8 + CHUNK_BYTES * (chunks - 1))
}

/// A session reads while the recorder writes, and goes on to another chunk.
pub(crate) fn writes_and_reads() {
    let budget = budget(2);
    let pool = ChunkPool::new(budget.clone());
    let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
    let lane = LanePool::new(budget).take(2).unwrap();
    let trace = Arc::new(SharedTrace { first: Mutex::new(Some(first.clone())), lane });
    let recorded = trace.clone();
    let recorder = thread::spawn(move || {
        first.write(0, 1, 11);
        first.write(1, 2, 12);
        drop(first);
        assert!(recorded.lane.push(second.clone()));
        second.write(0, 3, 13);
    });
    let (mut reader, mut read) = (LaneReader::default(), Vec::new());
    reader.read(&trace, 10, |word, raw| read.push((word, raw)));
    recorder.join().unwrap();
    reader.read(&trace, 10, |word, raw| read.push((word, raw)));
    assert_eq!(read, [(1, 11), (2, 12), (3, 13)]);
}

/// The only chunk that there is, and who is at it.
struct Watched {
    pool: Arc<ChunkPool>,
    chunk: UnsafeCell<()>,
}

// SAFETY: loom looks at every access.
unsafe impl Sync for Watched {}
// SAFETY: as above.
unsafe impl Send for Watched {}

impl Watched {
    /// For another trace, if it is there: nobody else is at it any more.
    fn take_anew(&self) -> bool {
        let Some(chunk) = self.pool.take() else { return false };
        self.chunk.with_mut(|_| ());
        assert_eq!(chunk.len(), 0);
        chunk.write(0, 5, 6);
        assert_eq!(chunk.read(0).next(), Some((5, 6)));
        true
    }

    fn leave(&self, chunk: ChunkRef) {
        self.chunk.with(|_| ());
        drop(chunk);
    }
}

/// Both owners drop it at once, and a third one waits for it.
pub(crate) fn two_owners_and_the_next_one() {
    let budget = budget(1);
    let others = budget.try_reserve(CHUNK_BYTES * 7).unwrap();
    let watched = Arc::new(Watched { pool: ChunkPool::new(budget), chunk: UnsafeCell::new(()) });
    let chunk = watched.pool.take().unwrap();
    let leaves = [chunk.clone(), chunk].map(|chunk| {
        let watched = watched.clone();
        thread::spawn(move || watched.leave(chunk))
    });
    let taken = watched.take_anew();
    leaves.into_iter().for_each(|leave| leave.join().unwrap());
    assert!(watched.take_anew(), "it is there again, taken before or not: {taken}");
    assert!(watched.pool.take().is_some_and(|_first| watched.pool.take().is_none()), "and once");
    drop(others);
}
