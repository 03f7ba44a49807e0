//! Reads events, and the stacks that follow them, out of the slots of chunks.

use crate::model::stack::StackWord;
use crate::model::trace_event::TraceEvent;

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
