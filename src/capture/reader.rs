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
            let Some((word, raw)) = self.next_event(trace) else { break };
            each(word, raw);
            read += 1;
        }
        read
    }

    fn next_event(&mut self, trace: &SharedTrace) -> Option<(u64, u64)> {
        loop {
            if let Some(event) = self.next_in_chunk() {
                return Some(event);
            }
            match self.upcoming.take() {
                // Looked at again after the next one was handed over: nothing more can come into this one.
                Some(next) => (self.chunk, self.next) = (Some(next), 0),
                None => {
                    if self.next == CHUNK_EVENTS {
                        // Read to its end: back to the pool, even if the next one is long in coming.
                        self.chunk = None;
                    }
                    self.upcoming = Some(trace.next_chunk()?);
                }
            }
        }
    }

    fn next_in_chunk(&mut self) -> Option<(u64, u64)> {
        let chunk = self.chunk.as_ref()?;
        let event = (self.next < chunk.len()).then(|| chunk.read(self.next)).flatten()?;
        self.next += 1;
        Some(event)
    }
}
