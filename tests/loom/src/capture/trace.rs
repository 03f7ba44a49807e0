//! What a reader knows of a trace.

use std::sync::Mutex;

use super::chunk::ChunkRef;
use super::lane::ChunkLane;

pub(crate) struct SharedTrace {
    pub(crate) first: Mutex<Option<ChunkRef>>,
    pub(crate) lane: Box<ChunkLane>,
}

impl SharedTrace {
    pub(crate) fn next_chunk(&self) -> Option<ChunkRef> {
        let first = self.first.lock().unwrap().take();
        first.or_else(|| self.lane.pop())
    }
}
