//! From a trace's events to its call tree: who owns which span of time.
//!
//! ```text
//!          Call, Return, ReturnTo, Leave, Pause
//!             ┌───┐
//!             │   ▼      Out: SLEEP under the sites left pending
//!  start ──► Running ──────────────────────────────► Waiting
//!             ▲  ▲  OutPeer: PEER under the root       │
//!             │  └─────────────────────────────────────┘
//!             │         In, Starved (a Call too: it can only come from a task that runs)
//! ```
//!
//! Each span between two events goes to the node on top, so the own times always sum to the duration.

mod calls;
#[cfg_attr(not(native_capture), allow(dead_code, reason = "what captures stacks uses it"))]
pub(crate) mod native;
#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod properties;
mod sites;
mod sums;
#[cfg(test)]
mod tests;

use self::calls::CallLog;
use self::native::{NativeLog, WaitNumber};
use self::sites::PendingSites;
use super::call_tree::{CallTree, NodeId};
use super::frame::FrameId;
use super::stack::{Place, StackWord};
use super::time::Nanos;
use super::trace_event::{EndReason, TraceEvent};

/// What an event can make the log of native capture hold: an entry, or two frames of a stack.
const NATIVE_BYTES: usize = 224;

/// What one trace may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoldLimits {
    /// Nodes of the tree; new paths past it fold into their parent.
    pub(crate) max_stacks: usize,
    /// Open frames; deeper ones fold into the deepest that is kept.
    pub(crate) max_depth: usize,
}

/// Folds one trace.
#[derive(Debug)]
pub(crate) struct Fold {
    tree: CallTree,
    /// The open frames above the root.
    stack: Vec<OpenFrame>,
    /// Open frames that `max_depth` left out of `stack`.
    deeper: usize,
    /// The place in `stack` of the outermost open frame that found no room in the tree; beyond its end: none did.
    folded_at: usize,
    max_depth: usize,
    /// Owns the time that passes now.
    top: NodeId,
    waiting: Option<Waiting>,
    sites: PendingSites,
    calls: CallLog,
    /// `None` where native capture is off.
    native: Option<NativeLog>,
    /// The latest time seen.
    now: Nanos,
    clamped: Nanos,
    peer: Nanos,
    events: u64,
    end: Option<EndReason>,
}

/// What a trace came to.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Own times by path; they sum to `duration`.
    pub(crate) tree: CallTree,
    /// What of these times belongs further down.
    #[cfg_attr(not(native_capture), allow(dead_code, reason = "there is nothing in it"))]
    pub(crate) native: Option<NativeLog>,
    /// From the start of the trace to its end.
    pub(crate) duration: Nanos,
    /// The part of it in which the client took its time.
    pub(crate) peer: Nanos,
    /// The sum of what timestamps went back by.
    pub(crate) clamped: Nanos,
    /// How often a new path found no room in the tree.
    pub(crate) folded_paths: u64,
    /// Calls, and sleeps that a call could have claimed, that found no room: that time stayed SLEEP.
    pub(crate) calls_dropped: u64,
    /// Events folded.
    pub(crate) events: u64,
    /// Why it ended; none when it was finished from outside.
    #[cfg(test)]
    pub(crate) end: Option<EndReason>,
}

/// A frame on the stack. The node alone does not name it: a path that found no room has its parent's node.
#[derive(Debug, Clone, Copy)]
struct OpenFrame {
    node: NodeId,
    frame: FrameId,
}

/// The task is not being polled.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    kind: Wait,
    since: Nanos,
    /// A call was open when it began.
    has_open_call: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Sleep,
    /// Woken, and not yet polled.
    Queue,
    Peer,
}

impl Fold {
    /// Begins at time zero, with the root on top and running.
    pub(crate) fn new(limits: FoldLimits) -> Self {
        Self {
            tree: CallTree::new(limits.max_stacks),
            stack: Vec::new(),
            deeper: 0,
            folded_at: usize::MAX,
            max_depth: limits.max_depth,
            top: NodeId::ROOT,
            waiting: None,
            sites: PendingSites::default(),
            calls: CallLog::default(),
            native: None,
            now: Nanos::ZERO,
            clamped: Nanos::ZERO,
            peer: Nanos::ZERO,
            events: 0,
            end: None,
        }
    }

    /// Keeps what native capture says, too.
    pub(crate) fn with_native(mut self) -> Self {
        self.native = Some(NativeLog::default());
        self
    }

    /// Lets calls claim every sleep, not only those during which [`TraceEvent::CallOpen`] said that one was open.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn log_every_sleep(mut self) -> Self {
        self.calls.log_every_sleep();
        self
    }

    /// Folds one event, `at` nanoseconds after the start. A time before the latest seen counts as equal to it.
    /// After the end nothing has an effect.
    #[inline]
    pub(crate) fn apply(&mut self, event: TraceEvent, at: Nanos) {
        if self.end.is_some() {
            return;
        }
        self.events += 1;
        self.advance(at);
        match event {
            TraceEvent::Call(frame) => self.call(frame),
            TraceEvent::CallAt(frame, place) => self.call_at(frame, place),
            TraceEvent::Return { depth } => self.close_to(depth),
            other => self.apply_rare(other),
        }
    }

    /// As `apply`, of an await site or a wake and its stack, innermost frame first.
    pub(crate) fn apply_captured(&mut self, event: TraceEvent, at: Nanos, stack: &[StackWord]) {
        if self.end.is_some() {
            return;
        }
        self.events += 1;
        // A wake that came while the poll still ran is one at its end.
        self.advance(at.max(self.now));
        match event {
            TraceEvent::Site(captured) => self.site(captured.site, false, stack),
            TraceEvent::BranchSite(captured) => self.site(captured.site, true, stack),
            TraceEvent::Woke(captured) => self.woke(captured.site, stack),
            TraceEvent::WokeBy(task) => self.native.iter_mut().for_each(|native| native.woken_by(task)),
            _ => {}
        }
    }

    /// Apart from the two that come by the million, so that their path stays short.
    #[inline(never)]
    fn apply_rare(&mut self, event: TraceEvent) {
        match event {
            TraceEvent::Call(frame) => self.call(frame),
            TraceEvent::CallAt(frame, place) => self.call_at(frame, place),
            TraceEvent::Return { depth } => self.close_to(depth),
            TraceEvent::ReturnTo(frame) => self.return_to(frame),
            TraceEvent::Leave { depth } => self.leave(depth),
            TraceEvent::Pause { depth } => self.pause(depth),
            TraceEvent::Abandon(frame) => self.sites.abandon(frame),
            TraceEvent::In => self.begin_poll(),
            TraceEvent::Out => self.sleep(),
            TraceEvent::OutPeer => self.wait_for_peer(),
            TraceEvent::CallOpen(id) => self.calls.open(id, self.now),
            TraceEvent::CallClosed(id) => self.calls.close(id, self.now),
            TraceEvent::Starved => self.starve(),
            // See `apply_captured`.
            TraceEvent::Site(_) | TraceEvent::BranchSite(_) | TraceEvent::Woke(_) | TraceEvent::WokeBy(_) => {}
            TraceEvent::Gone(site) => self.native.iter_mut().for_each(|native| native.gone(site)),
            TraceEvent::Sampled(count) => self.native.iter_mut().for_each(|native| native.samples(count)),
            TraceEvent::End(reason) => {
                self.stop();
                self.end = Some(reason);
            }
        }
    }

    /// The target took the call `call_id`, shown as `label`. May come at any time before [`Fold::finish`].
    pub(crate) fn receive(&mut self, call_id: u32, label: FrameId, at: Nanos) {
        self.calls.receive(call_id, label, at);
    }

    /// The target answered the call `call_id`. May come at any time before [`Fold::finish`].
    pub(crate) fn send(&mut self, call_id: u32, at: Nanos) {
        self.calls.send(call_id, at);
    }

    /// Closes what is open, at the trace's end or else `at`, and gives each sleep to the calls that explain it.
    pub(crate) fn finish(mut self, at: Nanos) -> Finished {
        if self.end.is_none() {
            self.advance(at);
            self.stop();
        }
        let calls_dropped = self.calls.resolve(&mut self.tree, self.native.as_mut());
        Finished {
            native: self.native,
            duration: self.now,
            peer: self.peer,
            clamped: self.clamped,
            folded_paths: self.tree.folded_paths(),
            calls_dropped,
            events: self.events,
            #[cfg(test)]
            end: self.end,
            tree: self.tree,
        }
    }

    /// The frames that are open above the root, outermost first; those past `max_depth` are not known.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn open_frames(&self) -> impl DoubleEndedIterator<Item = FrameId> + ExactSizeIterator {
        self.stack.iter().map(|open| open.frame)
    }

    /// Lets no new path into the tree from now on; their time stays with the nearest path that is kept.
    pub(crate) fn freeze(&mut self) {
        self.tree.freeze();
        self.native.iter_mut().for_each(NativeLog::freeze);
    }

    /// The memory that `more` further events can make it hold.
    pub(crate) fn bytes_with(&self, more: usize) -> usize {
        let native = if self.native.is_some() { more.saturating_mul(NATIVE_BYTES) } else { 0 };
        self.approx_bytes() + self.tree.bytes_with(more) + native
    }

    /// The memory held, without the allocator's own.
    pub(crate) fn approx_bytes(&self) -> usize {
        let stack = self.stack.capacity() * size_of::<OpenFrame>();
        let native = self.native.as_ref().map_or(0, NativeLog::approx_bytes);
        size_of::<Self>()
            + self.tree.approx_bytes()
            + stack
            + self.sites.approx_bytes()
            + self.calls.approx_bytes()
            + native
    }

    #[inline]
    fn advance(&mut self, at: Nanos) {
        if at < self.now {
            self.clamped = self.clamped.saturating_add(self.now.saturating_sub(at));
            return;
        }
        self.tree.add_own(self.top, at.saturating_sub(self.now));
        if let Some(native) = &mut self.native
            && self.waiting.is_none()
            && at > self.now
        {
            native.run(self.top, self.now, at);
        }
        self.now = at;
    }

    #[inline]
    fn call(&mut self, frame: FrameId) {
        if self.waiting.is_some() {
            self.resume();
        }
        if self.stack.len() >= self.max_depth {
            self.deeper += 1;
            return;
        }
        let node = self.enter(frame);
        self.stack.push(OpenFrame { node, frame });
        self.top = node;
        if !self.sites.is_empty() {
            self.sites.enter(node, frame);
        }
    }

    fn call_at(&mut self, frame: FrameId, place: Place) {
        let depth = self.stack.len();
        self.call(frame);
        if let Some(native) = &mut self.native
            && self.stack.len() > depth
        {
            native.open(self.top, place);
        }
    }

    fn site(&mut self, number: u32, is_branch: bool, stack: &[StackWord]) {
        let Some(native) = &mut self.native else { return };
        let open: Vec<_> = self.stack.iter().map(|open| (open.node, open.frame)).collect();
        native.site(number, is_branch, stack, &open);
    }

    /// The sleep is over, and the waiting for a worker begins.
    fn woke(&mut self, site: u32, stack: &[StackWord]) {
        let Some(native) = &mut self.native else { return };
        native.woke(site, stack);
        let Some(waiting) = self.waiting.filter(|waiting| waiting.kind == Wait::Sleep) else { return };
        self.end_sleep(waiting);
        self.top = self.tree.child(self.top, FrameId::QUEUE);
        self.waiting = Some(Waiting { kind: Wait::Queue, since: self.now, ..waiting });
    }

    fn begin_poll(&mut self) {
        if self.waiting.is_none() {
            self.end_poll();
        }
        self.sites.begin_poll();
        self.resume();
        self.native.iter_mut().for_each(NativeLog::begin_poll);
    }

    fn end_poll(&mut self) {
        self.native.iter_mut().for_each(NativeLog::end_poll);
    }

    /// The trace is over.
    fn stop(&mut self) {
        if self.waiting.is_none() {
            self.native.iter_mut().for_each(NativeLog::end_last_poll);
        }
        self.resume();
    }

    /// What opens inside a frame without room stays with it: looked up under the kept ancestor, it could be taken
    /// for a frame that this one calls directly.
    #[inline]
    fn enter(&mut self, frame: FrameId) -> NodeId {
        if self.stack.len() > self.folded_at {
            self.tree.count_folded();
            return self.top;
        }
        let node = self.tree.child(self.top, frame);
        self.folded_at = if node == self.top { self.stack.len() } else { usize::MAX };
        node
    }

    /// Closes frames until `depth` are open; nothing if no more are.
    #[inline]
    fn close_to(&mut self, depth: u32) {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        if depth >= self.stack.len() {
            self.deeper = self.deeper.min(depth - self.stack.len());
            return;
        }
        self.deeper = 0;
        self.stack.truncate(depth);
        self.set_top();
    }

    /// Pops one frame, then more until `frame` is on top or none is left. Frames past `max_depth` have no name
    /// to compare: each is popped alone.
    fn return_to(&mut self, frame: Option<FrameId>) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        if self.stack.pop().is_none() {
            return;
        }
        while self.stack.last().is_some_and(|open| Some(open.frame) != frame) {
            self.stack.pop();
        }
        self.set_top();
    }

    fn leave(&mut self, depth: u32) {
        let index = usize::try_from(depth).unwrap_or(usize::MAX);
        if let Some(open) = self.stack.get(index) {
            self.sites.leave(&self.tree, open.node, open.frame);
        }
        self.close_to(depth);
    }

    fn pause(&mut self, depth: u32) {
        let index = usize::try_from(depth).unwrap_or(usize::MAX);
        if let Some(open) = self.stack.get(index) {
            self.sites.pause(&self.tree, open.node, open.frame);
        }
        self.close_to(depth);
    }

    fn close_all(&mut self) {
        self.stack.clear();
        self.deeper = 0;
        self.top = NodeId::ROOT;
    }

    #[inline]
    fn set_top(&mut self) {
        self.top = self.stack.last().map_or(NodeId::ROOT, |open| open.node);
    }

    fn sleep(&mut self) {
        if self.waiting.is_none() {
            self.end_poll();
            let site = self.sites.common_ancestor(&self.tree);
            self.wait(site, FrameId::SLEEP, Wait::Sleep);
        }
    }

    /// Also ends a sleep: the poll that produced the frame may have reported its own `Out` first.
    fn wait_for_peer(&mut self) {
        if self.waiting.is_none_or(|waiting| waiting.kind != Wait::Peer) {
            if self.waiting.is_none() {
                self.end_poll();
            }
            self.resume();
            self.wait(NodeId::ROOT, FrameId::PEER, Wait::Peer);
        }
    }

    fn wait(&mut self, under: NodeId, frame: FrameId, kind: Wait) {
        self.close_all();
        self.top = self.tree.child(under, frame);
        let has_open_call = self.calls.claims_sleeps();
        self.waiting = Some(Waiting { kind, since: self.now, has_open_call });
    }

    /// Ends the waiting. The frames of a running poll stay open.
    fn resume(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        let waited = self.now.saturating_sub(waiting.since);
        match waiting.kind {
            Wait::Peer => self.peer = self.peer.saturating_add(waited),
            Wait::Queue => self.native.iter_mut().for_each(|native| native.queue(self.top, waited)),
            Wait::Sleep => self.end_sleep(waiting),
        }
        self.top = NodeId::ROOT;
    }

    /// Logs the sleep that has just been on top.
    fn end_sleep(&mut self, waiting: Waiting) {
        let waited = self.now.saturating_sub(waiting.since);
        if waited == Nanos::ZERO {
            return;
        }
        let number = self.native.as_mut().map_or(WaitNumber::NONE, |native| native.sleep(self.top, waited));
        if waiting.has_open_call || self.calls.claims_sleeps() {
            self.calls.log_sleep(self.top, waiting.since, self.now, number);
        }
    }

    /// What happened while there was no room is not known, so nothing that was known before holds.
    fn starve(&mut self) {
        self.resume();
        self.close_all();
        self.sites.clear();
    }
}
