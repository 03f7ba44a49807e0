//! Spans of a foreign library as frames: entered, exited and closed by id, in any order and on any thread.
//!
//! A span that is exited may be done, or its future may be pending; only its closing tells, and that may come late or
//! never (a handle elsewhere, a child that outlives it). So an exit is recorded as [`TraceEvent::Pause`], which holds
//! for one poll, and a close takes it back.

use super::Recorder;
use crate::capture::native::stack_pointer;
use crate::model::frame::FrameId;
use crate::model::trace_event::TraceEvent;

/// Spans that are remembered between exit and close at most, so that a poll which exits thousands of spans and closes
/// none is not searched through at each close. Past it the oldest is forgotten: its close has no effect in this poll.
const MAX_PAUSED: usize = 64;

/// The spans of the poll at hand; what an earlier poll, another thread or another trace entered is not known here,
/// and its exit does nothing.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// Entered, innermost last; depths rise, so there are never more than frames.
    open: Vec<OpenSpan>,
    /// Exited and not closed, the latest last.
    paused: Vec<(u64, FrameId)>,
}

#[derive(Debug, Clone, Copy)]
struct OpenSpan {
    id: u64,
    frame: FrameId,
    depth: u32,
}

impl Spans {
    /// A poll begins or ends, and all frames are closed.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.paused.clear();
    }

    /// Forgets the open spans from `index` on: they close with the first of them.
    fn take_from(&mut self, index: usize) -> Option<OpenSpan> {
        let span = self.open.get(index).copied();
        self.open.truncate(index);
        span
    }

    /// Remembers that `span` may wait.
    fn pause(&mut self, span: OpenSpan) {
        if self.paused.len() >= MAX_PAUSED {
            self.paused.remove(0);
        }
        self.paused.push((span.id, span.frame));
    }

    fn take_paused(&mut self, id: u64) -> Option<FrameId> {
        // From the end: what closes was mostly exited just before.
        let index = self.paused.iter().rposition(|(paused, _)| *paused == id)?;
        Some(self.paused.remove(index).1)
    }
}

impl Recorder {
    /// The span `id` is entered: a frame opens.
    pub(crate) fn enter_span(&mut self, id: u64, frame: FrameId) {
        // The fold forgets it as well, when it sees the frame.
        self.spans.take_paused(id);
        // A frame around them was closed, and they with it.
        while self.spans.open.last().is_some_and(|span| span.depth >= self.depth) {
            self.spans.open.pop();
        }
        let depth = self.depth;
        if self.enter_frame(frame, stack_pointer()).is_recorded() {
            self.spans.open.push(OpenSpan { id, frame, depth });
        }
    }

    /// The span `id` is exited: its frame closes, and what is open inside it. Nothing if it is not open here.
    pub(crate) fn exit_span(&mut self, id: u64) {
        let Some(span) = self.take_open(id) else { return };
        self.spans.pause(span);
        self.close_frames(span.depth, TraceEvent::Pause { depth: span.depth });
    }

    /// The span `id` is gone: nothing waits in it.
    pub(crate) fn close_span(&mut self, id: u64) {
        if let Some(frame) = self.spans.take_paused(id) {
            // Futures of one path are one site to the fold: it stays while another of them may wait there.
            if !self.spans.paused.iter().any(|(_, paused)| *paused == frame) {
                self.record(TraceEvent::Abandon(frame));
            }
        } else if let Some(OpenSpan { depth, .. }) = self.take_open(id) {
            // Its last handle went first; what is to come of its exit finds nothing.
            self.close_frames(depth, TraceEvent::Return { depth });
        }
    }

    fn take_open(&mut self, id: u64) -> Option<OpenSpan> {
        // The latest: a span may be entered again while it is entered.
        let index = self.spans.open.iter().rposition(|span| span.id == id)?;
        self.spans.take_from(index).filter(|span| span.depth < self.depth)
    }

    fn close_frames(&mut self, depth: u32, event: TraceEvent) {
        self.depth = depth;
        self.record(event);
    }
}
