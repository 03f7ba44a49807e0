//! Reads a trace's lane, chunk by chunk, while its recorder may still be writing.

use super::chunk::{CHUNK_EVENTS, ChunkRef};
use super::trace::SharedTrace;

/// How far the session has read.
#[derive(Debug, Default)]
pub(crate) struct LaneReader {
    chunk: Option<ChunkRef>,
    next: usize,
    /// The chunk after `chunk`, known before `chunk` is left.
    upcoming: Option<ChunkRef>,
}

impl LaneReader {
    /// Hands up to `most` events to `each`, as (word, raw time). Returns how many.
    pub(crate) fn read(&mut self, trace: &SharedTrace, most: usize, mut each: impl FnMut(u64, u64)) -> usize {
        let mut read = 0;
        while read < most {
            let count = self.read_chunk(most - read, &mut each);
            read += count;
            if count == 0 && !self.go_on(trace) {
                break;
            }
        }
        read
    }

    /// What there is in the chunk at hand, as `read`.
    fn read_chunk(&mut self, most: usize, each: &mut impl FnMut(u64, u64)) -> usize {
        let Some(chunk) = &self.chunk else { return 0 };
        let from = self.next;
        for (word, raw) in chunk.read(from).take(most) {
            self.next += 1;
            each(word, raw);
        }
        self.next - from
    }

    /// After the last event of the chunk at hand; false when there is nothing more for now.
    fn go_on(&mut self, trace: &SharedTrace) -> bool {
        match self.upcoming.take() {
            // Looked at again after the next one was handed over: nothing more can come into this one.
            Some(next) => (self.chunk, self.next) = (Some(next), 0),
            None => {
                if self.next == CHUNK_EVENTS {
                    // Read to its end: back to the pool, even if the next one is long in coming.
                    self.chunk = None;
                }
                self.upcoming = trace.next_chunk();
                return self.upcoming.is_some();
            }
        }
        true
    }
}
