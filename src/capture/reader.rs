//! Reads a trace's lane, chunk by chunk, while its recorder may still be writing.

use super::chunk::{CHUNK_EVENTS, ChunkRef};
use super::trace::SharedTrace;
use crate::model::stack::StackWord;
use crate::model::trace_event::TraceEvent;

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

/// Puts events and the stacks that follow them together.
#[derive(Debug, Default)]
pub(crate) struct EventDecoder {
    /// The event whose stack is still to come, and its raw time.
    open: Option<(TraceEvent, u64)>,
    /// Slots that are still to come.
    left: u32,
    stack: Vec<StackWord>,
}

impl EventDecoder {
    /// Takes what a slot holds; hands an event to `each` once it is whole, with its raw time and its stack.
    #[inline]
    pub(crate) fn push(&mut self, word: u64, raw: u64, each: impl FnOnce(TraceEvent, u64, &[StackWord])) {
        if self.left > 0 {
            return self.push_frames(word, raw, each);
        }
        let Some(event) = TraceEvent::from_word(word) else { return };
        match event.slots() {
            0 => each(event, raw, &[]),
            slots => (self.open, self.left) = (Some((event, raw)), slots),
        }
    }

    #[inline(never)]
    fn push_frames(&mut self, one: u64, other: u64, each: impl FnOnce(TraceEvent, u64, &[StackWord])) {
        self.stack.extend([one, other].into_iter().filter(|word| *word != 0).map(StackWord));
        self.left -= 1;
        if self.left == 0
            && let Some((event, raw)) = self.open.take()
        {
            each(event, raw, &self.stack);
            self.stack.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trace_event::Captured;

    #[test]
    fn a_stack_comes_with_its_event_however_the_slots_are_read() {
        let mut decoder = EventDecoder::default();
        let mut seen = Vec::new();
        let site = TraceEvent::Site(Captured { site: 3, slots: 2 });
        let woke = TraceEvent::Woke(Captured { site: 3, slots: 0 });
        let slots = [[TraceEvent::In.to_word(), 1], [site.to_word(), 2], [7, 8], [9, 0], [woke.to_word(), 3]];
        for [word, raw] in slots {
            decoder.push(word, raw, |event, raw, stack| seen.push((event, raw, stack.to_vec())));
        }
        let stack = vec![StackWord(7), StackWord(8), StackWord(9)];
        assert_eq!(seen, [(TraceEvent::In, 1, Vec::new()), (site, 2, stack), (woke, 3, Vec::new())]);
    }
}
