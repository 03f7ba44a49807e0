//! Explicit calls, and the sleeps that they explain.
//!
//! Calls arrive on another lane than events, so neither can wait for the other: sleeps are logged while a call
//! is open, and one sweep at the end gives each instant to its owner.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::native::{NativeLog, WaitNumber};
use crate::model::call_tree::{CallTree, NodeId};
use crate::model::frame::FrameId;
use crate::model::frame_hash::IdMap;
use crate::model::time::Nanos;

/// 10,000 × 80 bytes: under 1 MB for the calls of one trace.
const MAX_CALLS: usize = 10_000;
/// 100,000 × 24 bytes: 2.4 MB for the sleeps of one trace.
const MAX_SLEEPS: usize = 100_000;

/// The calls of one trace and the sleeps that they can claim.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    calls: IdMap<u32, Call>,
    /// In the order of time; none overlaps another.
    sleeps: Vec<Sleep>,
    /// Calls that are open for the caller.
    open: usize,
    logs_every_sleep: bool,
    /// Breaks ties between calls sent at one time.
    next_rank: u32,
    dropped: u64,
}

/// What is known of a call; each part is set by the first message that says it.
#[derive(Debug, Default, Clone, Copy)]
struct Call {
    /// The caller sent it.
    opened: Option<Nanos>,
    /// The caller no longer waits for it.
    closed: Option<Nanos>,
    /// The target took it.
    received: Option<(FrameId, Nanos)>,
    /// The target answered.
    sent: Option<Nanos>,
    rank: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sleep {
    node: NodeId,
    from: Nanos,
    to: Nanos,
    /// What native capture knows it by.
    wait: WaitNumber,
}

/// The time that a call can own, with the order of precedence: the earliest sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    sent: Nanos,
    rank: u32,
    from: Nanos,
    to: Nanos,
    label: FrameId,
}

impl CallLog {
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn log_every_sleep(&mut self) {
        self.logs_every_sleep = true;
    }

    /// Whether a sleep that begins or ends now may be claimed.
    pub(super) fn claims_sleeps(&self) -> bool {
        self.open > 0 || self.logs_every_sleep
    }

    pub(super) fn open(&mut self, id: u32, at: Nanos) {
        let rank = self.take_rank();
        let Some(call) = self.call(id) else { return };
        if call.opened.is_none() {
            call.opened = Some(at);
            call.rank = rank;
            self.open += 1;
        }
    }

    pub(super) fn close(&mut self, id: u32, at: Nanos) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.opened.is_some() && call.closed.is_none() {
            call.closed = Some(at);
            self.open = self.open.saturating_sub(1);
        }
    }

    pub(super) fn receive(&mut self, id: u32, label: FrameId, at: Nanos) {
        let rank = self.take_rank();
        let Some(call) = self.call(id) else {
            self.dropped += 1;
            return;
        };
        if call.received.is_none() {
            call.received = Some((label, at));
            if call.opened.is_none() {
                call.rank = rank;
            }
        }
    }

    pub(super) fn send(&mut self, id: u32, at: Nanos) {
        if let Some(call) = self.call(id) {
            call.sent.get_or_insert(at);
        }
    }

    pub(super) fn log_sleep(&mut self, node: NodeId, from: Nanos, to: Nanos, wait: WaitNumber) {
        if self.sleeps.len() < MAX_SLEEPS {
            self.sleeps.push(Sleep { node, from, to, wait });
        } else {
            self.dropped += 1;
        }
    }

    /// Moves what calls own from the sleeps to a child of theirs; gives the number of calls and sleeps that had
    /// found no room. O((sleeps + calls) log calls).
    pub(super) fn resolve(&mut self, tree: &mut CallTree, mut native: Option<&mut NativeLog>) -> u64 {
        let mut claims: Vec<Claim> = self.calls.values().filter_map(Call::claim).collect();
        claims.sort_unstable_by_key(|claim| (claim.from, claim.sent, claim.rank));
        let mut sweep = Sweep { waiting: claims.into_iter().peekable(), begun: BinaryHeap::new() };
        for sleep in self.sleeps.drain(..) {
            let mut at = sleep.from;
            while at < sleep.to {
                let (owner, until) = sweep.owner_from(at);
                let until = until.min(sleep.to);
                if let Some(label) = owner {
                    let child = tree.child(sleep.node, label);
                    let claimed = until.saturating_sub(at);
                    tree.move_own(sleep.node, child, claimed);
                    if let Some(native) = native.as_deref_mut() {
                        native.claim(sleep.wait, child, claimed);
                    }
                }
                at = until;
            }
        }
        self.dropped
    }

    pub(super) fn approx_bytes(&self) -> usize {
        let call = size_of::<(u32, Call)>() + 1;
        self.calls.capacity() * call / 7 * 8 + self.sleeps.capacity() * size_of::<Sleep>()
    }

    /// The entry of `id`, new if need be; none when there is no room.
    fn call(&mut self, id: u32) -> Option<&mut Call> {
        if self.calls.len() >= MAX_CALLS && !self.calls.contains_key(&id) {
            return None;
        }
        Some(self.calls.entry(id).or_default())
    }

    fn take_rank(&mut self) -> u32 {
        self.next_rank = self.next_rank.saturating_add(1);
        self.next_rank
    }
}

impl Call {
    /// None for a call that was not seen at both ends. A caller that gave up no longer waits for the answer.
    fn claim(&self) -> Option<Claim> {
        let (label, from) = self.received?;
        let to = self.sent?.min(self.closed.unwrap_or(Nanos(u64::MAX)));
        let sent = self.opened.unwrap_or(from);
        (from < to).then_some(Claim { sent, rank: self.rank, from, to, label })
    }
}

/// Walks along the time axis.
struct Sweep {
    /// Claims that begin later, the next one first.
    waiting: std::iter::Peekable<std::vec::IntoIter<Claim>>,
    /// Claims that have begun, the earliest sent on top; what has ended is removed when it comes up.
    begun: BinaryHeap<Reverse<Claim>>,
}

impl Sweep {
    /// Who owns the instant `at`, and until when that is sure. `at` never goes back.
    fn owner_from(&mut self, at: Nanos) -> (Option<FrameId>, Nanos) {
        while let Some(claim) = self.waiting.next_if(|claim| claim.from <= at) {
            self.begun.push(Reverse(claim));
        }
        while self.begun.peek().is_some_and(|Reverse(claim)| claim.to <= at) {
            self.begun.pop();
        }
        let next = self.waiting.peek().map_or(Nanos(u64::MAX), |claim| claim.from);
        match self.begun.peek() {
            Some(Reverse(claim)) => (Some(claim.label), claim.to.min(next)),
            None => (None, next),
        }
    }
}
