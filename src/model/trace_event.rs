//! What a recorder writes and a session reads: 16 bytes an event.
//!
//! ```text
//! word 0   kind (8 bits) │ depth (24 bits) │ id (32 bits)
//! word 1   the clock's raw reading
//! ```
//! A captured stack follows its event in the room of so many others: two frames each, the innermost first.

use super::frame::FrameId;
use super::stack::Place;

/// One step of a trace. `depth` counts the frames that are open above the root of the current poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceEvent {
    /// A poll begins: the task runs. Ends the waiting that the last `Out` or `OutPeer` began.
    In,
    /// A poll ends pending: the task waits. Closes every frame that is still open.
    Out,
    /// A body gave a frame to its client, which now takes its time.
    OutPeer,
    /// A frame opens.
    Call(FrameId),
    /// As `Call`, with the place of the frame on the native stack.
    CallAt(FrameId, Place),
    /// The frame at `depth` returns: frames above it close with it, and `depth` frames stay open.
    Return {
        /// How many frames stay open.
        depth: u32,
    },
    /// As `Return`, of a future that is pending: its path is where the task waits.
    Leave {
        /// How many frames stay open.
        depth: u32,
    },
    /// As `Return`, of a span, which is exited whether it is done or waits. If the poll ends pending, its path is
    /// where the task waits, unless it is entered again or an `Abandon` comes first.
    Pause {
        /// How many frames stay open.
        depth: u32,
    },
    /// A pending future was dropped, or a span closed: the task no longer waits under its frame.
    Abandon(FrameId),
    /// From a source that knows only the name returned to (`None` = unknown).
    ReturnTo(Option<FrameId>),
    /// An explicit call begins; sleeps are logged while one is open, so that it can claim its part of them.
    CallOpen(u32),
    /// The explicit call is over for the caller (answered, timed out or dropped).
    CallClosed(u32),
    /// The recorder ran out of room: everything closes, and time is the root's until the next event.
    Starved,
    /// A waker was cloned, so a leaf future is about to wait; its stack follows.
    Site(Captured),
    /// As `Site`, of a child that its combinator polls only when it was woken: it waits until it is `Gone`.
    BranchSite(Captured),
    /// The last waker of the await site is gone: nothing waits there.
    Gone(u32),
    /// The task was woken, at this event's time; the waking thread's stack follows. Comes before `In`.
    Woke(Captured),
    /// As `Woke`, from inside of a task with this name.
    WokeBy(FrameId),
    /// So many samples were taken in the poll that is about to end.
    Sampled(u32),
    /// The trace ends.
    End(EndReason),
}

/// A stack that follows its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Captured {
    /// The await site; `u32::MAX` for a waker that was made where nothing was captured.
    pub(crate) site: u32,
    /// The room that the stack takes, in events.
    pub(crate) slots: u32,
}

/// Why a trace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EndReason {
    /// Its work completed.
    Done,
    /// Its scope was dropped before the work completed.
    Cancelled,
    /// A stopper ended it.
    Stopped,
    /// Its work panicked.
    Panicked,
    /// It lasted for `max_trace_duration_ms`, or the agent shut down.
    Truncated,
}

const DEPTH_BITS: u32 = 24;
const DEPTH_MASK: u32 = (1 << DEPTH_BITS) - 1;

impl TraceEvent {
    /// Packs the event into its first word.
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        let (kind, depth, id) = match self {
            Self::In => (1, 0, 0),
            Self::Out => (2, 0, 0),
            Self::OutPeer => (3, 0, 0),
            Self::Call(frame) => (4, 0, frame.0),
            Self::Return { depth } => (5, depth, 0),
            Self::Leave { depth } => (6, depth, 0),
            Self::Abandon(frame) => (7, 0, frame.0),
            Self::ReturnTo(None) => (8, 0, 0),
            Self::ReturnTo(Some(frame)) => (9, 0, frame.0),
            Self::CallOpen(id) => (10, 0, id),
            Self::CallClosed(id) => (11, 0, id),
            Self::Starved => (12, 0, 0),
            Self::End(reason) => (13, 0, reason as u32),
            Self::Pause { depth } => (14, depth, 0),
            Self::CallAt(frame, place) => (15, place.0.into(), frame.0),
            Self::Site(captured) => (16, captured.slots, captured.site),
            Self::BranchSite(captured) => (17, captured.slots, captured.site),
            Self::Gone(site) => (18, 0, site),
            Self::Woke(captured) => (19, captured.slots, captured.site),
            Self::WokeBy(frame) => (20, 0, frame.0),
            Self::Sampled(count) => (21, 0, count),
        };
        u64::from(kind << DEPTH_BITS | (depth & DEPTH_MASK)) << 32 | u64::from(id)
    }

    /// Unpacks a first word; `None` for a word that [`TraceEvent::to_word`] never writes.
    #[inline]
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
        let (high, id) = ((word >> 32) as u32, word as u32);
        let depth = high & DEPTH_MASK;
        Some(match high >> DEPTH_BITS {
            1 => Self::In,
            2 => Self::Out,
            3 => Self::OutPeer,
            4 => Self::Call(FrameId(id)),
            5 => Self::Return { depth },
            6 => Self::Leave { depth },
            7 => Self::Abandon(FrameId(id)),
            8 => Self::ReturnTo(None),
            9 => Self::ReturnTo(Some(FrameId(id))),
            10 => Self::CallOpen(id),
            11 => Self::CallClosed(id),
            12 => Self::Starved,
            13 => Self::End(EndReason::from_number(id)?),
            14 => Self::Pause { depth },
            15 => Self::CallAt(FrameId(id), Place(u16::try_from(depth).unwrap_or(u16::MAX))),
            16 => Self::Site(Captured { site: id, slots: depth }),
            17 => Self::BranchSite(Captured { site: id, slots: depth }),
            18 => Self::Gone(id),
            19 => Self::Woke(Captured { site: id, slots: depth }),
            20 => Self::WokeBy(FrameId(id)),
            21 => Self::Sampled(id),
            _ => return None,
        })
    }
}

impl TraceEvent {
    /// The room that the stack behind it takes, in events.
    #[inline]
    pub(crate) fn slots(self) -> u32 {
        match self {
            Self::Site(captured) | Self::BranchSite(captured) | Self::Woke(captured) => captured.slots,
            _ => 0,
        }
    }
}

impl EndReason {
    const ALL: [Self; 5] = [Self::Done, Self::Cancelled, Self::Stopped, Self::Panicked, Self::Truncated];

    /// The reason whose discriminant is `number`.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u32 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_survives_packing() {
        let mut events = vec![
            TraceEvent::In,
            TraceEvent::Out,
            TraceEvent::OutPeer,
            TraceEvent::Call(FrameId(u32::MAX)),
            TraceEvent::Return { depth: DEPTH_MASK },
            TraceEvent::Leave { depth: 3 },
            TraceEvent::Pause { depth: 4 },
            TraceEvent::Abandon(FrameId(7)),
            TraceEvent::ReturnTo(None),
            TraceEvent::ReturnTo(Some(FrameId(0))),
            TraceEvent::CallOpen(1),
            TraceEvent::CallClosed(u32::MAX),
            TraceEvent::Starved,
            TraceEvent::CallAt(FrameId(8), Place(u16::MAX)),
            TraceEvent::Site(Captured { site: 2_047, slots: 64 }),
            TraceEvent::BranchSite(Captured { site: 0, slots: 1 }),
            TraceEvent::Gone(5),
            TraceEvent::Woke(Captured { site: u32::MAX, slots: 0 }),
            TraceEvent::WokeBy(FrameId(9)),
            TraceEvent::Sampled(3),
        ];
        events.extend(EndReason::ALL.map(TraceEvent::End));
        for event in events {
            assert_eq!(TraceEvent::from_word(event.to_word()), Some(event));
        }
        assert_eq!(TraceEvent::from_word(0), None);
    }
}
