//! From a trace's lanes to its finished call tree.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::SystemTime;

use super::finalize::{FinalizeJob, HeldClaim};
use crate::actors::parts::Parts;
use crate::capture::decoder::EventDecoder;
use crate::capture::frame::NAMES;
use crate::capture::reader::LaneReader;
use crate::capture::routes::CallStep;
use crate::capture::trace::SharedTrace;
use crate::model::config::Limits;
use crate::model::counters::Count;
use crate::model::fold::{Fold, FoldLimits};
use crate::model::frame::{FrameId, NamedFrame};
use crate::model::time::Nanos;
use crate::model::trace_event::{EndReason, TraceEvent};
use crate::safety::budget::Reservation;
use crate::safety::dedupe::Claim;

/// Events read before other sessions get their turn: 64 chunks, about half a millisecond.
const READ_AT_ONCE: usize = 64 * 512;
/// Events folded between two looks at the memory bound.
const BATCH: usize = 512;

/// Distinct call labels and native functions of one trace: 20,000 x 100 bytes. Labels with numbers can all be different.
const MAX_LABEL_BYTES: usize = 2 << 20;
/// What a label needs beside its text: two counters, a place in the list, and one in the map.
const LABEL_OVERHEAD: usize = 96;

/// What a read led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More waits already.
    More,
    /// Nothing waits, and the trace goes on.
    Idle,
    /// The trace has ended, and all of it has been read.
    Ended,
}

/// See the module.
pub(super) struct Assembly {
    trace: Arc<SharedTrace>,
    reader: LaneReader,
    decoder: EventDecoder,
    fold: Fold,
    names: OwnNames,
    /// `None` when not even an empty tree found room: then only the root is kept.
    memory: Option<Reservation>,
}

impl Assembly {
    pub(super) fn new(trace: Arc<SharedTrace>, limits: &Limits) -> Box<Self> {
        let fold = Fold::new(FoldLimits { max_stacks: limits.max_stacks, max_depth: limits.max_stack_depth });
        let fold = if trace.core.has_native() { fold.with_native() } else { fold };
        Box::new(Self {
            memory: trace.core.budget.try_reserve(0),
            trace,
            reader: LaneReader::default(),
            decoder: EventDecoder::default(),
            fold,
            names: OwnNames::default(),
        })
    }

    /// Reads what has been written, up to a bound.
    pub(super) fn read(&mut self) -> Progress {
        // Each time, and not only at the end: what waits is bounded, and a trace may make more calls than that.
        self.take_calls();
        // Looked at first: all that was written before the end is in the lane by now.
        let ended = self.trace.ended();
        let end_raw = ended.map_or(u64::MAX, |(raw, _)| raw);
        for _ in 0..READ_AT_ONCE / BATCH {
            self.bound_memory();
            if self.read_batch(end_raw) < BATCH {
                return if ended.is_some() { Progress::Ended } else { Progress::Idle };
            }
        }
        Progress::More
    }

    fn read_batch(&mut self, end_raw: u64) -> usize {
        let Self { trace, reader, decoder, fold, .. } = self;
        let (clock, start) = (&trace.core.clock, trace.started_raw);
        reader.read(trace, BATCH, |word, raw| {
            decoder.push(word, raw, |event, raw, stack| {
                // Written while a stopper ended the trace elsewhere.
                if raw > end_raw {
                    return;
                }
                let at = clock.between(start, raw);
                match event {
                    TraceEvent::Site(_) | TraceEvent::BranchSite(_) | TraceEvent::Woke(_) | TraceEvent::WokeBy(_) => {
                        fold.apply_captured(event, at, stack);
                    }
                    event => fold.apply(event, at),
                }
            });
        })
    }

    /// Makes sure that the next batch has room, or stops the tree from growing.
    fn bound_memory(&mut self) {
        let wanted = (self.fold.bytes_with(BATCH) + self.names.bytes) as u64;
        let has_room = self.memory.as_mut().is_some_and(|memory| {
            let more = wanted.saturating_sub(memory.bytes());
            more == 0 || memory.grow(more)
        });
        if !has_room {
            self.fold.freeze();
        }
    }

    fn take_calls(&mut self) {
        let (clock, start) = (self.trace.core.clock.clone(), self.trace.started_raw);
        while let Some(message) = self.trace.next_call() {
            let at = clock.between(start, message.raw);
            match message.step {
                CallStep::Receive(label) => {
                    let frame = self.names.frame(label.into());
                    self.fold.receive(message.call, frame, at);
                }
                CallStep::Send => self.fold.send(message.call, at),
            }
        }
    }

    /// Ends the tree and says what is left to do: nothing when the trace is not worth shipping.
    pub(super) fn finish(mut self: Box<Self>, parts: &Parts) -> Option<Box<FinalizeJob>> {
        self.take_calls();
        let core = self.trace.core.clone();
        let (end_raw, reason) = self.trace.ended().unwrap_or((core.clock.raw(), EndReason::Truncated));
        let age = core.clock.between(self.trace.started_raw, core.clock.raw());
        let finished = self.fold.finish(core.clock.between(self.trace.started_raw, end_raw));
        if finished.events == 0 {
            // Not even one poll began, whoever ended it.
            self.trace.settle(Count::NeverRun);
            return None;
        }
        self.trace.count_end(reason);
        core.counters.add(Count::Events, finished.events);
        core.counters.add(Count::FoldedPaths, finished.folded_paths);
        core.counters.add(Count::ClampedNanos, finished.clamped.0);
        core.counters.add(Count::CallsDropped, finished.calls_dropped);
        let measured: Nanos = finished.duration.saturating_sub(finished.peer);
        if measured < self.trace.header.threshold {
            self.trace.settle(Count::BelowThreshold);
            return None;
        }
        let claim = claim_window(&self.trace)?;
        Some(Box::new(FinalizeJob {
            captured_at: SystemTime::now().checked_sub(age.into()).unwrap_or(SystemTime::UNIX_EPOCH),
            duration: finished.duration,
            tree: finished.tree,
            #[cfg(native_capture)]
            native: finished.native.filter(|log| !log.is_empty()),
            names: self.names,
            memory: self.memory,
            claim: HeldClaim::new(claim),
            reason,
            function_length_threshold: parts.limits().function_length_threshold,
            origin: parts.origin.clone(),
            trace: self.trace,
        }))
    }
}

/// Claims the dedupe window, where it applies. `None`: another trace has it, and this one is settled.
fn claim_window(trace: &SharedTrace) -> Option<Option<Claim>> {
    if !trace.is_deduplicated() {
        return Some(None);
    }
    let core = &trace.core;
    let claim = core.dedupe.claim(trace.identifier_key(), core.now());
    if claim.is_none() {
        trace.settle(Count::Deduplicated);
    }
    claim.map(Some)
}

/// Frames of one trace alone: its call labels and native functions.
#[derive(Debug, Default)]
pub(super) struct OwnNames {
    by_name: HashMap<Arc<str>, u32>,
    names: Vec<NamedFrame>,
    /// What they hold, at most [`MAX_LABEL_BYTES`].
    bytes: usize,
}

impl OwnNames {
    /// The frame of that name; [`FrameId::OTHER`] once there is no room.
    pub(super) fn frame(&mut self, named: NamedFrame) -> FrameId {
        let index = match self.by_name.entry(named.name.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let bytes = self.bytes + named.name.len() + LABEL_OVERHEAD;
                let Some(index) = u32::try_from(self.names.len()).ok().filter(|_| bytes <= MAX_LABEL_BYTES) else {
                    return FrameId::OTHER;
                };
                self.bytes = bytes;
                self.names.push(named);
                *new.insert(index)
            }
        };
        FrameId(FrameId::FIRST_OWN + index)
    }

    /// What a reader sees of `frame`, in this table or in the process's.
    pub(super) fn named(&self, frame: FrameId) -> NamedFrame {
        let Some(index) = frame.0.checked_sub(FrameId::FIRST_OWN) else { return NAMES.frame(frame) };
        let name = usize::try_from(index).ok().and_then(|index| self.names.get(index));
        name.cloned().unwrap_or_else(|| NAMES.frame(FrameId::OTHER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_frame_and_past_the_bound_new_ones_share_one() {
        let mut names = OwnNames::default();
        let first = names.frame("CALL db 0".into());
        let distinct = (1..).take_while(|n| names.frame(format!("CALL db {n}").into()) != FrameId::OTHER).count();
        assert!((10_000..100_000).contains(&distinct), "{distinct}");
        assert_eq!(names.frame("CALL db 0".into()), first);
        assert_eq!(&*names.named(first).name, "CALL db 0");
        assert!(names.bytes <= MAX_LABEL_BYTES);
        let new = names.frame("CALL db new".into());
        assert_eq!(&*names.named(new).name, "(other)");
    }
}
