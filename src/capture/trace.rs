//! The part of a running trace that its recorder, its session and its stoppers share.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crossbeam_queue::SegQueue;

use super::chunk::ChunkRef;
use super::core::{CaptureCore, InboxItem};
use super::fresh::SlotNumber;
use super::lane::ChunkLane;
use super::open::Open;
use super::routes::CallMessage;
use super::signal::Signal;
use crate::model::counters::Count;
use crate::model::event::{Capture, cut_identifier};
use crate::model::ids::TraceId;
use crate::model::time::Nanos;
use crate::model::trace_event::EndReason;
use crate::safety::identifier::IdentifierKey;
use crate::safety::permits::Permit;

/// Call messages that wait for a session at most; far above the calls that one request makes.
const MAX_WAITING_CALLS: usize = 1_024;

/// Up to one part in so many of `max_capture_bytes`, full chunks may wait for others: 8 MiB of 64.
const PART_WITHOUT_HURRY: u64 = 8;

/// Room for an [`EndReason`] below the raw time of an end; 61 bits of a 5 GHz counter last 14 years.
const REASON_BITS: u32 = 3;
const REASON_MASK: u64 = (1 << REASON_BITS) - 1;

/// Who decides about the trace's end.
///
/// ```text
/// Fresh ──agent takes it up──► TakenUp      its session finishes it
///   └────below its threshold──► Discarded   its host thread has finished it
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Fresh = 0,
    TakenUp = 1,
    Discarded = 2,
}

/// What identifies a trace to its reader, and what it is measured by.
#[derive(Debug)]
pub(crate) struct TraceHeader {
    /// The start event's name, without its `.start`.
    pub(crate) started_by: Cow<'static, str>,
    pub(crate) capture: Capture,
    pub(crate) threshold: Nanos,
}

/// See the module.
pub(crate) struct SharedTrace {
    /// The label that routes call messages here; unique in the process, and the generation of its recorder.
    pub(crate) label: u64,
    pub(crate) id: TraceId,
    pub(crate) header: TraceHeader,
    pub(crate) started_raw: u64,
    pub(crate) core: Arc<CaptureCore>,
    /// What the work called itself while it ran: in place of the other two.
    named: OnceLock<String>,
    /// What became known about work without an endpoint: in place of the header's identifier.
    described: OnceLock<String>,
    /// The first chunk, until the session takes it. Most traces have no other and need no lane.
    first: Mutex<Option<ChunkRef>>,
    /// The later chunks; made by the recorder when the first is full.
    lane: OnceLock<Box<ChunkLane>>,
    phase: AtomicU8,
    /// Where [`FreshTraces`](super::fresh::FreshTraces) keeps it, if it does.
    fresh_slot: AtomicU8,
    open: Open,
    /// 0 while it runs, then `raw time << 3 | reason + 1`. Set once, by whoever comes first.
    ended: AtomicU64,
    /// The trace has been counted under the one name that says what became of it.
    settled: AtomicBool,
    /// Raw time spent in PEER so far; written by the recorder only.
    peer_raw: AtomicU64,
    /// A `Ready` for this trace waits in the inbox.
    signal: Signal,
    /// CPU samples were taken of it, which wait for its end.
    #[cfg(native_capture)]
    sampled: AtomicBool,
    permit: Mutex<Option<Permit>>,
    /// At most [`MAX_WAITING_CALLS`]; made for the first. Boxed: most traces have none, and it is large.
    calls: OnceLock<Box<SegQueue<CallMessage>>>,
}

impl SharedTrace {
    pub(crate) fn new(
        core: Arc<CaptureCore>,
        label: u64,
        id: TraceId,
        header: TraceHeader,
        permit: Permit,
        chunk: ChunkRef,
    ) -> Self {
        Self {
            label,
            id,
            header,
            started_raw: core.clock.raw(),
            core,
            named: OnceLock::new(),
            described: OnceLock::new(),
            first: Mutex::new(Some(chunk)),
            lane: OnceLock::new(),
            phase: AtomicU8::new(Phase::Fresh as u8),
            fresh_slot: AtomicU8::new(0),
            open: Open::new(),
            ended: AtomicU64::new(0),
            settled: AtomicBool::new(false),
            peer_raw: AtomicU64::new(0),
            signal: Signal::new(),
            #[cfg(native_capture)]
            sampled: AtomicBool::new(false),
            permit: Mutex::new(Some(permit)),
            calls: OnceLock::new(),
        }
    }

    /// The identifier: what the work called itself, else how it was described, else what it was admitted with.
    pub(crate) fn identifier(&self) -> &str {
        let known = self.named.get().or_else(|| self.described.get());
        known.map_or_else(|| self.header.capture.identifier(), String::as_str)
    }

    /// Names the endpoint, once; a later call does nothing and is false.
    pub(crate) fn set_identifier(&self, identifier: String) -> bool {
        self.named.set(cut_identifier(identifier)).is_ok()
    }

    /// Makes a better identifier from the one it was admitted with, once; nothing if that one names an endpoint.
    #[cfg(feature = "tower")]
    pub(crate) fn describe(&self, with: impl FnOnce(&str) -> String) {
        if !self.is_deduplicated() {
            self.described.get_or_init(|| cut_identifier(with(self.header.capture.identifier())));
        }
    }

    /// Whether a shipped trace of this identifier closes its dedupe window: only if it names an endpoint.
    pub(crate) fn is_deduplicated(&self) -> bool {
        self.header.capture.is_deduplicated() || self.named.get().is_some()
    }

    /// What its dedupe window and its share of the permits go by.
    pub(crate) fn identifier_key(&self) -> IdentifierKey {
        IdentifierKey::of(self.identifier())
    }

    /// Puts a further `chunk` where the session finds it; false when a budget is used up. Only for the recorder.
    pub(crate) fn hand_over(&self, chunk: ChunkRef) -> bool {
        let lane = match self.lane.get() {
            Some(lane) => lane,
            None => {
                let Some(lane) = self.core.take_lane() else { return false };
                self.lane.get_or_init(|| lane)
            }
        };
        lane.push(chunk)
    }

    /// Whether what waits for the session should not become more: half of what the trace may have is in use, or a part of
    /// what all may have together.
    pub(crate) fn is_short_of_chunks(&self) -> bool {
        let budget = &self.core.budget;
        budget.used() > budget.max() / PART_WITHOUT_HURRY || self.lane.get().is_some_and(|lane| lane.is_half_full())
    }

    /// The next chunk for the session.
    pub(crate) fn next_chunk(&self) -> Option<ChunkRef> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.or_else(|| self.lane.get()?.pop())
    }

    /// Takes the trace for the agent; false when its host thread has already discarded it.
    pub(crate) fn take_up(&self) -> bool {
        self.core.fresh.remove(self);
        self.change_phase(Phase::TakenUp)
    }

    pub(crate) fn fresh_slot(&self) -> SlotNumber {
        // Relaxed: set before others know the trace; a wrong number would name a slot in which another trace is.
        self.fresh_slot.load(Ordering::Relaxed)
    }

    pub(crate) fn set_fresh_slot(&self, number: SlotNumber) {
        self.fresh_slot.store(number, Ordering::Relaxed);
    }

    /// Takes the trace for its host thread; false when the agent has taken it up.
    pub(crate) fn discard(&self) -> bool {
        self.change_phase(Phase::Discarded)
    }

    fn change_phase(&self, to: Phase) -> bool {
        self.phase.compare_exchange(Phase::Fresh as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether recording goes on.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        // Relaxed: as in `is_closed`.
        !self.open.is_closed() && self.ended.load(Ordering::Relaxed) == 0
    }

    /// Ends the trace at `raw`, unless it has ended before.
    pub(crate) fn end(&self, reason: EndReason, raw: u64) -> bool {
        let stamp = raw << REASON_BITS | (u64::from(reason as u32) + 1);
        // AcqRel: the session that sees the end sees all that the recorder wrote before it.
        self.ended.compare_exchange(0, stamp, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The raw time and the reason of the end, once it has ended.
    pub(crate) fn ended(&self) -> Option<(u64, EndReason)> {
        let stamp = self.ended.load(Ordering::Acquire);
        let reason = (stamp & REASON_MASK).checked_sub(1)?;
        let reason = u32::try_from(reason).ok().and_then(EndReason::from_number)?;
        Some((stamp >> REASON_BITS, reason))
    }

    /// Counts what became of the trace; only the first call does.
    pub(crate) fn settle(&self, outcome: Count) {
        if !self.settled.swap(true, Ordering::AcqRel) {
            self.core.counters.count(outcome);
        }
    }

    /// The trace is now a finished one, and whoever has that one counts what becomes of it.
    pub(crate) fn settle_elsewhere(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Adds to the time that a client took to read the body.
    pub(crate) fn add_peer(&self, raw: u64) {
        // Not a read-modify-write: only the recorder writes.
        let sum = self.peer_raw.load(Ordering::Relaxed).wrapping_add(raw);
        self.peer_raw.store(sum, Ordering::Relaxed);
    }

    /// The duration that the threshold is compared with: without PEER.
    pub(crate) fn measured(&self, end_raw: u64) -> Nanos {
        let peer = self.core.clock.between(0, self.peer_raw.load(Ordering::Relaxed));
        self.core.clock.between(self.started_raw, end_raw).saturating_sub(peer)
    }

    /// Makes the trace reachable for call messages under its label, unless it is over.
    pub(crate) fn register_route(self: &Arc<Self>) {
        let is_open = self.open.route(|| self.core.routes.register(self.clone()));
        // A route left behind would hold the trace, and through it the core, for ever; so would one of a trace that began
        // just as the agent ended, which nobody closes.
        if !is_open || self.core.inbox.is_closed() {
            self.core.routes.unregister(self.label);
        }
    }

    /// Makes the recorder stop at its next look, and drops calls that are still to come.
    pub(crate) fn stop_recording(&self) {
        if self.open.close() {
            self.core.routes.unregister(self.label);
        }
    }

    /// The trace is over, however it ended: nothing is recorded, nothing is held.
    pub(crate) fn close(&self) {
        self.stop_recording();
        self.release_permit();
        self.core.fresh.remove(self);
    }

    /// Frees the trace's place under `max_active_traces`.
    pub(crate) fn release_permit(&self) {
        drop(self.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// As `signal`, of what should not wait.
    pub(crate) fn signal_in_hurry(self: &Arc<Self>) {
        self.signal();
        self.core.inbox.hurry();
    }

    /// Tells the agent that there is something to read; one signal at a time.
    pub(crate) fn signal(self: &Arc<Self>) {
        // A full inbox loses the signal, not the data: the Collector looks at every session each second.
        self.signal.give(|| self.core.inbox.push(InboxItem::Ready(self.clone())).is_ok());
        // A trace that has ended holds its permit until its session has read it.
        if self.core.permits.are_scarce() {
            self.core.inbox.hurry();
        }
    }

    /// The session is about to read: later writes signal again.
    pub(crate) fn acknowledge(&self) {
        self.signal.acknowledge();
    }

    /// CPU samples were taken of it.
    #[cfg(native_capture)]
    pub(crate) fn note_sampled(&self) {
        // Relaxed: read when nobody else has the trace any more.
        self.sampled.store(true, Ordering::Relaxed);
    }

    /// Delivers a call message; false when too many wait.
    pub(crate) fn deliver(self: &Arc<Self>, message: CallMessage) -> bool {
        // Only the router delivers, so nobody else pushes between the look and the push.
        let calls = self.calls.get_or_init(Box::default);
        let waiting = calls.len();
        let has_room = waiting < MAX_WAITING_CALLS;
        if has_room {
            calls.push(message);
        }
        if waiting == MAX_WAITING_CALLS / 2 {
            // Chunks are read sixteen at a time, and one holds the events of a hundred calls.
            self.signal_in_hurry();
        }
        has_room
    }

    /// The next call message for the session.
    pub(crate) fn next_call(&self) -> Option<CallMessage> {
        self.calls.get()?.pop()
    }

    /// Whether the trace has made explicit calls.
    pub(crate) fn has_calls(&self) -> bool {
        self.open.is_routed()
    }

    /// Counts the trace's end by its reason.
    pub(crate) fn count_end(&self, reason: EndReason) {
        self.core.counters.count(match reason {
            EndReason::Done => Count::Done,
            EndReason::Cancelled => Count::Cancelled,
            EndReason::Stopped => Count::Stopped,
            EndReason::Panicked => Count::Panicked,
            EndReason::Truncated => Count::Truncated,
        });
    }
}

impl Drop for SharedTrace {
    fn drop(&mut self) {
        self.settle(Count::LostAtShutdown);
        #[cfg(native_capture)]
        if *self.sampled.get_mut()
            && let Some(native) = &self.core.native
        {
            native.forget_samples(self.label);
        }
        if let Some(lane) = self.lane.take() {
            self.core.return_lane(lane);
        }
    }
}

impl fmt::Debug for SharedTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTrace").field("id", &self.id).field("header", &self.header).finish_non_exhaustive()
    }
}
