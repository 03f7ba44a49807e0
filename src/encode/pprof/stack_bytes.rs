//! The encoded stack of the node at hand, and of each of its ancestors, in one buffer.

use super::super::protobuf::{fill_varint, varint_len};
use super::to_index;

/// Stacks are written leaf first, so a child's is its own id followed by its parent's stack, and the buffer fills
/// from its end:
///
/// ```text
///   free … │ leaf │ … │ child │ root │
///                              └ the root's stack
///                      └ the child's
/// ```
///
/// In pre-order the stacks of all ancestors of the node at hand are still there.
pub(super) struct StackBytes {
    bytes: Vec<u8>,
    /// The length of each node's stack, in pre-order.
    lengths: Vec<u32>,
}

/// Room for 60 frames of two bytes, to begin with.
const FIRST_CAPACITY: usize = 128;

impl StackBytes {
    pub(super) fn new(nodes: usize) -> Self {
        Self { bytes: vec![0; FIRST_CAPACITY], lengths: Vec::with_capacity(nodes) }
    }

    /// Leaves out the next node and, with it, its descendants.
    pub(super) fn skip(&mut self) {
        self.lengths.push(0);
    }

    /// The stack of the next node, with this location id, under `parent` (none for a root).
    #[inline]
    pub(super) fn enter(&mut self, parent: u32, id: u32) -> &[u8] {
        let id = u64::from(id);
        let parent_len = self.lengths.get(to_index(parent)).copied().unwrap_or(0);
        let id_len = varint_len(id);
        let length = to_index(parent_len) + id_len;
        if length > self.bytes.len() {
            self.grow();
        }
        // Ids have five bytes at most and trees fewer than 2^29 levels.
        self.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
        let start = self.bytes.len().saturating_sub(length);
        let stack = self.bytes.get_mut(start..).unwrap_or_default();
        if let Some(id_bytes) = stack.get_mut(..id_len) {
            fill_varint(id_bytes, id);
        }
        stack
    }

    #[cold]
    fn grow(&mut self) {
        let mut grown = vec![0; self.bytes.len()];
        grown.append(&mut self.bytes);
        self.bytes = grown;
    }
}
