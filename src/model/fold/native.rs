//! What native capture knows of a trace: which stacks its polls ran between, and where and for whom it waited.
//!
//! Stacks are addresses until the trace is known to be shipped, so nothing here goes into the call tree: the tree has the
//! frames by hand, and this log says which parts of whose own time belong further down. What finds no room here stays
//! where the tree has it.

use super::sums::Sums;
use crate::model::call_tree::{CallTree, NodeId};
use crate::model::frame::FrameId;
use crate::model::frame_hash::IdMap;
use crate::model::stack::{Place, StackWord};
use crate::model::stack_table::{SetId, StackId, StackTable};
use crate::model::time::Nanos;

/// Parts of one poll between two frames by hand at most; in a poll of more, the later ones stay with the frames by hand.
const MAX_PARTS: usize = 4_096;
/// Parts of polls with samples that one trace keeps: 65,536 x 40 bytes. Later ones are shown without their samples.
const MAX_SAMPLED: usize = 65_536;
/// Entries of each kind at most, 40 to 220 bytes each.
const MAX_ENTRIES: usize = 20_000;

/// Between which stacks a part of a poll ran, and the frame by hand that was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    /// Whose own time it is in the tree.
    pub(crate) node: NodeId,
    /// The await site that the poll resumed from.
    pub(crate) resumed: Option<StackId>,
    /// The await sites that were pending when it ended.
    pub(crate) suspended: Option<SetId>,
}

/// Where a task waited and what ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WaitKey {
    /// Whose own time it is in the tree: a SLEEP or a QUEUE.
    pub(crate) node: NodeId,
    pub(crate) pending: Option<SetId>,
    /// Woken and not yet polled. The rest is then not known.
    pub(crate) is_queue: bool,
    /// The await site that was woken.
    pub(crate) fired: Option<StackId>,
    /// The stack of the thread that woke it, root to leaf.
    pub(crate) waker: Option<StackId>,
    /// The name of the task that woke it.
    pub(crate) task: Option<FrameId>,
}

/// The number of a wait in [`NativeLog::waits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitNumber(u32);

impl WaitNumber {
    /// For a wait that found no room.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// A part of a poll in which samples were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SampledPart {
    pub(crate) key: RunKey,
    pub(crate) from: Nanos,
    pub(crate) to: Nanos,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NativeLog {
    pub(crate) stacks: StackTable,
    pub(crate) runs: Sums<RunKey>,
    pub(crate) waits: Sums<WaitKey>,
    /// Parts of waits that explicit calls have claimed, by the number in `waits` and the node in the tree.
    pub(crate) claimed: Sums<(u32, NodeId)>,
    pub(crate) sampled: Vec<SampledPart>,
    /// Where the frame by hand of a node was last opened.
    places: IdMap<NodeId, Place>,
    poll: PollLog,
    /// Sites that the last poll which made any has left pending, and those that stay until they are gone.
    pending: Vec<Site>,
    branches: Vec<Site>,
    /// Of `pending` and `branches` together, since the last `Out`.
    pending_set: Option<SetId>,
    wake: Option<Wake>,
    task: Option<FrameId>,
    is_frozen: bool,
    /// The stacks of `pending_set`.
    set: Vec<StackId>,
    /// Room for the stack at hand, used again and again.
    stack: Vec<StackWord>,
}

/// What is known of the poll that runs.
#[derive(Debug, Default)]
struct PollLog {
    resumed: Option<StackId>,
    made: Vec<Site>,
    parts: Vec<Part>,
    samples: u32,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    node: NodeId,
    from: Nanos,
    to: Nanos,
}

#[derive(Debug, Clone, Copy)]
struct Site {
    number: u32,
    stack: StackId,
}

#[derive(Debug, Clone, Copy)]
struct Wake {
    fired: Option<StackId>,
    waker: Option<StackId>,
    task: Option<FrameId>,
}

impl NativeLog {
    /// The frame by hand of `node` was opened at `place`.
    pub(super) fn open(&mut self, node: NodeId, place: Place) {
        if self.places.len() < MAX_ENTRIES || self.places.contains_key(&node) {
            self.places.insert(node, place);
        }
    }

    /// Where the frame by hand of `node` was opened.
    pub(crate) fn place(&self, node: NodeId) -> Place {
        self.places.get(&node).copied().unwrap_or_default()
    }

    /// `node` was on top from `from` to `to`, in a poll.
    #[inline]
    pub(super) fn run(&mut self, node: NodeId, from: Nanos, to: Nanos) {
        let parts = &mut self.poll.parts;
        if let Some(last) = parts.last_mut().filter(|last| last.node == node && last.to == from) {
            last.to = to;
        } else if parts.len() < MAX_PARTS {
            parts.push(Part { node, from, to });
        }
    }

    /// A leaf is about to wait: its stack, innermost frame first, inside the open frames by hand of `nodes`.
    pub(super) fn site(&mut self, number: u32, is_branch: bool, stack: &[StackWord], nodes: &[(NodeId, FrameId)]) {
        let mut merged = std::mem::take(&mut self.stack);
        let by_hand = nodes.iter().map(|(node, frame)| StackWord::by_hand(*frame, self.place(*node)));
        merge(stack.iter().rev().copied(), by_hand, &mut merged);
        let known = self.stacks.stack(&merged, self.is_full());
        self.stack = merged;
        let Some(stack) = known else { return };
        let sites = if is_branch { &mut self.branches } else { &mut self.poll.made };
        sites.push(Site { number, stack });
    }

    /// The last waker of a site is gone.
    pub(super) fn gone(&mut self, number: u32) {
        for sites in [&mut self.poll.made, &mut self.pending, &mut self.branches] {
            sites.retain(|site| site.number != number);
        }
    }

    pub(super) fn samples(&mut self, count: u32) {
        self.poll.samples = self.poll.samples.saturating_add(count);
    }

    /// The name of the task that the next wake comes from.
    pub(super) fn woken_by(&mut self, task: FrameId) {
        self.task = Some(task);
    }

    /// The task was woken through `site`, by the thread whose stack is given, innermost frame first.
    pub(super) fn woke(&mut self, site: u32, stack: &[StackWord]) {
        let fired = self.pending.iter().chain(&self.branches).find(|pending| pending.number == site);
        let fired = fired.map(|site| site.stack);
        self.stack.clear();
        self.stack.extend(stack.iter().rev());
        let is_full = self.is_full();
        let waker = (!stack.is_empty()).then(|| self.stacks.stack(&self.stack, is_full)).flatten();
        self.wake = Some(Wake { fired, waker, task: self.task.take() });
    }

    pub(super) fn begin_poll(&mut self) {
        let wake = self.wake.take();
        // What was not seen to be woken resumed from wherever it waited, if that is one place.
        self.poll.resumed = wake.and_then(|wake| wake.fired).or_else(|| self.only_pending());
        self.poll.made.clear();
        self.poll.parts.clear();
        self.poll.samples = 0;
    }

    fn only_pending(&self) -> Option<StackId> {
        match self.stacks.stacks_of(self.pending_set?) {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// The poll that runs is over; what it left pending is where the task waits.
    pub(super) fn end_poll(&mut self) {
        if !self.poll.made.is_empty() {
            std::mem::swap(&mut self.pending, &mut self.poll.made);
            self.poll.made.clear();
        }
        let stacks = self.pending.iter().chain(&self.branches).map(|site| site.stack);
        // Mostly it waits where it has waited before.
        if self.pending_set.is_none() || !stacks.clone().eq(self.set.iter().copied()) {
            self.set.clear();
            self.set.extend(stacks);
            let is_full = self.is_full();
            self.pending_set = (!self.set.is_empty()).then(|| self.stacks.set(&self.set, is_full)).flatten();
        }
        self.log_parts(self.pending_set);
    }

    /// The poll that runs is the last one.
    pub(super) fn end_last_poll(&mut self) {
        self.log_parts(None);
    }

    fn log_parts(&mut self, suspended: Option<SetId>) {
        let (resumed, has_samples) = (self.poll.resumed, self.poll.samples > 0);
        if resumed.is_none() && suspended.is_none() && !has_samples {
            // No stack says more than the frames by hand.
            return self.poll.parts.clear();
        }
        let most = self.max_entries();
        for Part { node, from, to } in self.poll.parts.drain(..) {
            let key = RunKey { node, resumed, suspended };
            if has_samples && self.sampled.len() < MAX_SAMPLED && !self.is_frozen {
                self.sampled.push(SampledPart { key, from, to });
            } else {
                self.runs.add(key, to.saturating_sub(from), most);
            }
        }
    }

    /// The task has waited for `time` under `node`, and was then woken, or polled for another reason. The key that it is
    /// known by.
    pub(super) fn sleep(&mut self, node: NodeId, time: Nanos) -> WaitNumber {
        let wake = self.wake.unwrap_or(Wake { fired: None, waker: None, task: None });
        let Wake { fired, waker, task } = wake;
        let key = WaitKey { node, pending: self.pending_set, is_queue: false, fired, waker, task };
        self.add_wait(key, time)
    }

    /// The task was polled `time` after it had been woken; `node` is the QUEUE.
    pub(super) fn queue(&mut self, node: NodeId, time: Nanos) {
        let pending = self.pending_set;
        let key = WaitKey { node, pending, is_queue: true, fired: None, waker: None, task: None };
        self.add_wait(key, time);
    }

    fn add_wait(&mut self, key: WaitKey, time: Nanos) -> WaitNumber {
        let most = self.max_entries();
        self.waits.add(key, time, most).map_or(WaitNumber::NONE, WaitNumber)
    }

    /// An explicit call owns `time` of the sleep `wait`, at `node` in the tree.
    pub(super) fn claim(&mut self, wait: WaitNumber, node: NodeId, time: Nanos) {
        if self.waits.key(wait.0).is_some() {
            self.waits.take(wait.0, time);
            self.claimed.add((wait.0, node), time, MAX_ENTRIES);
        }
    }

    /// Takes nothing more in.
    pub(super) fn freeze(&mut self) {
        self.is_frozen = true;
    }

    fn max_entries(&self) -> usize {
        if self.is_frozen { 0 } else { MAX_ENTRIES }
    }

    fn is_full(&self) -> bool {
        self.is_frozen || self.stacks.approx_bytes() > MAX_ENTRIES * 100
    }

    /// The frames by hand from the root to `node`, with their places.
    pub(crate) fn frames_to(&self, tree: &CallTree, node: NodeId) -> Vec<StackWord> {
        let mut frames = Vec::new();
        let mut at = node;
        while let Some(parent) = tree.parent(at) {
            frames.push(StackWord::by_hand(tree.frame(at), self.place(at)));
            at = parent;
        }
        frames.reverse();
        frames
    }

    /// Whether it says more than the frames by hand.
    pub(crate) fn is_empty(&self) -> bool {
        self.sampled.is_empty() && self.stacks.is_empty() && self.waits.iter().all(|(key, _)| key.task.is_none())
    }

    /// How many paths it can lead to.
    pub(crate) fn entries(&self) -> usize {
        self.runs.len() + self.waits.len() + self.claimed.len() + self.sampled.len()
    }

    /// The memory held, without the allocator's own.
    pub(super) fn approx_bytes(&self) -> usize {
        let sums = self.runs.approx_bytes() + self.waits.approx_bytes() + self.claimed.approx_bytes();
        let places = self.places.capacity() * size_of::<(NodeId, Place)>() / 7 * 8;
        let lists = self.sampled.capacity() * size_of::<SampledPart>() + self.poll.parts.capacity() * size_of::<Part>();
        self.stacks.approx_bytes() + sums + places + lists
    }
}

/// Frames by hand between native ones, both from the root on: inside of the function that opened them and outside of
/// what that has called. `merged` is overwritten.
pub(crate) fn merge(
    native: impl Iterator<Item = StackWord>,
    by_hand: impl Iterator<Item = StackWord>,
    merged: &mut Vec<StackWord>,
) {
    let mut by_hand = by_hand.peekable();
    merged.clear();
    for frame in native {
        while let Some(before) = by_hand.next_if(|hand| hand.place() < frame.place()) {
            merged.push(before);
        }
        merged.push(frame);
    }
    merged.extend(by_hand);
}
