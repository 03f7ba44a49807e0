//! Writes the events of one trace, on whichever thread polls its work.
//!
//! A recorder has exactly one owner: the scope while its work rests, the thread-local while it runs. So it
//! writes without locks or read-modify-writes; only handing a full chunk over touches shared queues.

#[cfg(native_capture)]
mod native;
#[cfg(feature = "tracing")]
mod spans;

use std::num::NonZeroU64;
use std::sync::Arc;

#[cfg(native_capture)]
use self::native::NativePart;
#[cfg(native_capture)]
pub(crate) use self::native::PollWaker;
#[cfg(feature = "tracing")]
use self::spans::Spans;
use super::chunk::{CHUNK_EVENTS, ChunkRef};
use super::clock::Clock;
use super::native::fork;
use super::rules::Rules;
use super::trace::SharedTrace;
use crate::model::counters::Count;
use crate::model::frame::FrameId;
use crate::model::time::Nanos;
use crate::model::trace_event::{EndReason, TraceEvent};

/// The last event of a chunk is kept free for [`TraceEvent::Starved`].
const USABLE: usize = CHUNK_EVENTS - 1;
/// Full chunks that the agent is woken for at once while there is room: waking a thread takes longer than reading one.
const CHUNKS_A_SIGNAL: u32 = 16;

/// How a poll ended for the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "only the layers know other ends than waiting"))]
pub(crate) enum Leave {
    /// Pending: the task waits.
    Waiting,
    /// A response's head or a frame of its body went to the client.
    Peer,
    /// It can go on at once; until it does, the time is the root's own.
    Ready,
}

/// Identifies an open frame; what does not match is ignored, so that a guard may be dropped anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameToken {
    /// Never zero, so that two registers hold an optional token.
    generation: NonZeroU64,
    at: Place,
}

/// Where a frame was opened; one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u64);

impl Place {
    #[inline]
    fn new(poll: u32, depth: u32) -> Self {
        Self(u64::from(poll) << 32 | u64::from(depth))
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
    fn poll_and_depth(self) -> (u32, u32) {
        ((self.0 >> 32) as u32, self.0 as u32)
    }
}

/// The depth of a frame that was not recorded, only counted.
const SUPPRESSED: u32 = u32::MAX;

impl FrameToken {
    pub(crate) fn is_recorded(self) -> bool {
        self.at.poll_and_depth().1 != SUPPRESSED
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) shared: Arc<SharedTrace>,
    /// The trace's label, here because every frame needs it.
    pub(crate) generation: NonZeroU64,
    clock: Clock,
    chunk: ChunkRef,
    next: usize,
    /// Chunks begun so far.
    chunks: u32,
    /// Slots of the chunks before this one.
    before: u64,
    /// Of all slots, those with the frames of stacks.
    frames: u64,
    /// Which poll this is; frames of earlier polls are closed.
    poll: u32,
    /// Frames open in this poll.
    depth: u32,
    #[cfg(feature = "tracing")]
    spans: Spans,
    /// `None` where native capture is off.
    #[cfg(native_capture)]
    native: Option<NativePart>,
    /// No frame is recorded until the next poll, because a chunk was missing.
    starved: bool,
    /// Events that may still be recorded before only In and Out are.
    events_left: u32,
    /// `events_left` was used up once, and it has been counted.
    is_degraded: bool,
    max_depth: u32,
    next_call: u32,
    label_numbers: bool,
    /// Raw time at which the client got a frame that it has not come back for.
    peer_since: Option<u64>,
    has_run: bool,
}

impl Recorder {
    pub(crate) fn new(shared: Arc<SharedTrace>, chunk: ChunkRef, rules: &Rules) -> Self {
        Self {
            clock: shared.core.clock.clone(),
            // Labels are counted from 1.
            generation: NonZeroU64::new(shared.label).unwrap_or(NonZeroU64::MAX),
            #[cfg(native_capture)]
            native: shared.core.native.as_ref().map(|_| NativePart::new()),
            shared,
            chunk,
            next: 0,
            chunks: 1,
            before: 0,
            frames: 0,
            poll: 0,
            depth: 0,
            #[cfg(feature = "tracing")]
            spans: Spans::default(),
            starved: false,
            events_left: u32::try_from(rules.limits.max_events).unwrap_or(u32::MAX),
            is_degraded: false,
            max_depth: u32::try_from(rules.limits.max_stack_depth).unwrap_or(u32::MAX),
            next_call: 0,
            label_numbers: rules.limits.label_numbers,
            peer_since: None,
            has_run: false,
        }
    }

    /// A poll begins. False when the trace is over: then nothing more is recorded.
    pub(crate) fn enter_poll(&mut self) -> bool {
        if !self.shared.is_recording() {
            return false;
        }
        let now = self.clock.raw();
        if let Some(since) = self.peer_since.take() {
            self.shared.add_peer(now.saturating_sub(since));
        }
        self.begin_stack();
        self.has_run = true;
        #[cfg(native_capture)]
        self.note_wake(now);
        self.write(TraceEvent::In, now);
        true
    }

    /// The poll is over, and the work is not.
    pub(crate) fn leave_poll(&mut self, leave: Leave) {
        let now = self.clock.raw();
        let has_open_frames = self.depth > 0;
        #[cfg(native_capture)]
        self.note_gone(now);
        self.begin_stack();
        match leave {
            // Frames of this poll must not be the parents of the next one's.
            Leave::Ready if has_open_frames => self.write(TraceEvent::Return { depth: 0 }, now),
            Leave::Ready => {}
            Leave::Waiting => self.write(TraceEvent::Out, now),
            Leave::Peer => {
                self.peer_since = Some(now);
                self.write(TraceEvent::OutPeer, now);
            }
        }
    }

    fn begin_stack(&mut self) {
        self.poll = self.poll.wrapping_add(1);
        self.depth = 0;
        self.starved = false;
        #[cfg(feature = "tracing")]
        self.spans.clear();
    }

    /// Opens a frame, in a function whose stack pointer is `pointer` ([`stack_pointer`]).
    ///
    /// [`stack_pointer`]: super::native::stack_pointer
    #[inline]
    pub(crate) fn enter_frame(&mut self, frame: FrameId, pointer: usize) -> FrameToken {
        let (generation, poll, depth) = (self.generation, self.poll, self.depth);
        if depth >= self.max_depth || self.events_left == 0 || self.starved {
            return self.suppress();
        }
        self.record_word(self.opening(frame, pointer));
        if self.starved {
            return self.suppress();
        }
        self.depth = depth + 1;
        FrameToken { generation, at: Place::new(poll, depth) }
    }

    #[cfg(native_capture)]
    #[inline]
    fn opening(&self, frame: FrameId, pointer: usize) -> u64 {
        // Packed where the kind is known: `to_word` of an event that is either asks again.
        match self.place_of(pointer) {
            Some(place) => TraceEvent::CallAt(frame, place).to_word(),
            None => TraceEvent::Call(frame).to_word(),
        }
    }

    #[cfg(not(native_capture))]
    #[inline]
    fn opening(&self, frame: FrameId, _pointer: usize) -> u64 {
        TraceEvent::Call(frame).to_word()
    }

    /// A frame that is not recorded. Whatever kept it out also keeps out all that opens inside it: the depth
    /// falls only when a frame around it closes, and events and room do not come back within a poll.
    #[cold]
    fn suppress(&mut self) -> FrameToken {
        if self.shared.is_recording() {
            self.count_suppressed();
        }
        FrameToken { generation: self.generation, at: Place::new(self.poll, SUPPRESSED) }
    }

    fn count_suppressed(&mut self) {
        let is_too_deep = self.depth >= self.max_depth && !self.starved && self.events_left > 0;
        let counters = &self.shared.core.counters;
        if self.events_left == 0 && !std::mem::replace(&mut self.is_degraded, true) {
            counters.count(Count::Degraded);
        }
        counters.count(if is_too_deep { Count::SuppressedDepth } else { Count::SuppressedFrames });
    }

    /// Closes a frame and those still open inside it.
    #[inline]
    pub(crate) fn exit_frame(&mut self, token: FrameToken) {
        if let Some(depth) = self.take_off(token) {
            self.record(TraceEvent::Return { depth });
        }
    }

    /// Closes the frame of a future that is pending; false when it was not recorded, or is closed already.
    pub(crate) fn leave_frame(&mut self, token: FrameToken) -> bool {
        let closed = self.take_off(token);
        if let Some(depth) = closed {
            self.record(TraceEvent::Leave { depth });
        }
        closed.is_some()
    }

    /// The depth of `token` if it is an open, recorded frame; it is not any more then.
    #[inline]
    fn take_off(&mut self, token: FrameToken) -> Option<u32> {
        let (poll, depth) = token.at.poll_and_depth();
        let is_of_this_poll = token.generation == self.generation && poll == self.poll;
        if is_of_this_poll && depth == SUPPRESSED {
            return None;
        }
        // Not below: an outer guard was dropped first and has closed this frame.
        if !is_of_this_poll || depth >= self.depth {
            self.shared.core.counters.count(Count::LateGuards);
            return None;
        }
        self.depth = depth;
        Some(depth)
    }

    /// A future that waited in `frame` is gone.
    pub(crate) fn abandon_frame(&mut self, frame: FrameId) {
        self.record(TraceEvent::Abandon(frame));
    }

    /// An explicit call begins: its number, and whether labels show numbers.
    pub(crate) fn open_call(&mut self) -> (u32, bool) {
        let call = self.next_call;
        self.next_call = call.wrapping_add(1);
        if call == 0 {
            self.shared.register_route();
            // What is routed to the trace is taken by its session.
            self.shared.signal();
        }
        self.record(TraceEvent::CallOpen(call));
        (call, self.label_numbers)
    }

    /// An explicit call is over for its caller.
    pub(crate) fn close_call(&mut self, call: u32) {
        self.record(TraceEvent::CallClosed(call));
    }

    #[inline]
    fn record(&mut self, event: TraceEvent) {
        self.record_word(event.to_word());
    }

    #[inline]
    fn record_word(&mut self, word: u64) {
        let now = self.clock.raw();
        self.events_left = self.events_left.saturating_sub(1);
        self.write_word(word, now);
    }

    #[inline]
    fn write(&mut self, event: TraceEvent, now: u64) {
        self.write_word(event.to_word(), now);
    }

    #[inline]
    fn write_word(&mut self, word: u64, now: u64) {
        if self.next < USABLE {
            self.chunk.write(self.next, word, now);
            self.next += 1;
        } else {
            self.turn_over(word, now);
        }
    }

    #[cold]
    fn turn_over(&mut self, word: u64, now: u64) {
        if !self.shared.is_recording() {
            // Ended from elsewhere in the middle of a poll: nobody would read the next chunk.
            self.starved = true;
            return;
        }
        if self.take_chunk() {
            self.chunk.write(0, word, now);
            self.next = 1;
            return self.signal_if_due();
        }
        if self.next == USABLE {
            self.chunk.write(USABLE, TraceEvent::Starved.to_word(), now);
            self.next = CHUNK_EVENTS;
            self.shared.core.counters.count(Count::Starved);
        }
        self.starved = true;
        self.shared.signal_in_hurry();
    }

    /// A further chunk was begun: has the agent read the full ones, unless it may wait for more of them.
    fn signal_if_due(&self) {
        if self.chunks.is_multiple_of(CHUNKS_A_SIGNAL) || self.shared.is_short_of_chunks() {
            self.shared.signal_in_hurry();
        }
    }

    /// Goes on in an empty chunk; false, and nothing has changed, when there is none.
    fn take_chunk(&mut self) -> bool {
        let next = self.shared.core.chunks.take().filter(|chunk| self.shared.hand_over(chunk.clone()));
        let Some(chunk) = next else { return false };
        self.chunk = chunk;
        self.chunks += 1;
        self.before += self.next as u64;
        self.next = 0;
        true
    }

    /// As `take_chunk`, before this one is full, for what must stand in one piece.
    #[cfg(native_capture)]
    #[cold]
    fn next_chunk(&mut self) -> bool {
        let is_taken = self.shared.is_recording() && self.take_chunk();
        if is_taken {
            self.signal_if_due();
        }
        is_taken
    }

    /// Ends the trace. Below its threshold, and before the agent has taken it up, this thread settles it.
    pub(crate) fn end(mut self: Box<Self>, reason: EndReason) {
        if fork::is_forked_child() {
            // What ends a trace takes short locks, and one that another thread held at the fork stays locked.
            return std::mem::forget(self);
        }
        let now = self.clock.raw();
        if let Some(since) = self.peer_since.take() {
            self.shared.add_peer(now.saturating_sub(since));
        }
        #[cfg(native_capture)]
        self.tell_native();
        if !self.shared.is_recording() {
            return;
        }
        if (!self.has_run || self.is_below_threshold(now)) && self.shared.discard() {
            self.settle_here(reason);
        } else if self.shared.end(reason, now) {
            self.shared.signal();
        }
    }

    fn is_below_threshold(&self, now: u64) -> bool {
        let measured: Nanos = self.shared.measured(now);
        measured < self.shared.header.threshold
    }

    fn settle_here(&self, reason: EndReason) {
        let shared = &self.shared;
        if self.has_run {
            shared.count_end(reason);
            let slots = self.before + self.next as u64;
            shared.core.counters.add(Count::Events, slots.saturating_sub(self.frames));
            shared.settle(Count::BelowThreshold);
        } else {
            shared.settle(Count::NeverRun);
        }
        shared.end(reason, shared.started_raw);
        shared.close();
        while shared.next_chunk().is_some() {}
    }
}

impl Drop for Recorder {
    /// A recorder that is dropped without an end (its thread-local died with a thread) must not leave its
    /// session waiting.
    fn drop(&mut self) {
        #[cfg(native_capture)]
        self.release_native();
        if self.shared.is_recording() && self.shared.end(EndReason::Cancelled, self.clock.raw()) {
            self.shared.signal();
        }
    }
}
