//! From a trace's native log to its call tree: what was filed under frames by hand moves to the functions that ran or
//! waited. Time is only moved, never made: what has no place in the tree, or no name, stays where it is.

mod paths;
#[cfg(test)]
mod properties;
mod spans;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::sync::Arc;

use self::paths::Paths;
use super::chain::Chain;
use crate::model::call_tree::{CallTree, NodeId};
use crate::model::fold::native::{NativeLog, RunKey, SampledPart, WaitKey};
use crate::model::frame::{FrameId, NamedFrame};
use crate::model::stack::StackWord;
use crate::model::stack_table::{SetId, StackId};
use crate::model::time::Nanos;

/// A CPU sample of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimedStack {
    /// Since the trace's start.
    pub(crate) at: Nanos,
    /// Innermost frame first.
    pub(crate) frames: Box<[StackWord]>,
}

/// A stack that needs names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stack<'a> {
    /// Of an await site or a wake, in the log.
    Wait(StackId),
    /// Of a sample, from the root on.
    Sample(&'a [StackWord]),
}

/// What assembling needs from outside.
pub(crate) struct Naming<'a> {
    /// The functions of a stack.
    pub(crate) chain: &'a mut dyn FnMut(Stack<'_>) -> Arc<Chain>,
    /// The frame of a name.
    pub(crate) frame: &'a mut dyn FnMut(NamedFrame) -> FrameId,
    /// What a frame by hand is called, and where it is from if it is a span.
    pub(crate) by_hand: &'a dyn Fn(FrameId) -> NamedFrame,
    /// Keep plumbing, too.
    pub(crate) is_raw: bool,
}

/// See the module. `samples` in any order.
pub(crate) fn assemble(tree: &mut CallTree, log: &NativeLog, mut samples: Vec<TimedStack>, naming: Naming<'_>) {
    samples.sort_by_key(|sample| sample.at);
    let mut assembly = Assembly { tree, log, paths: Paths::new(log, naming) };
    assembly.place_runs();
    assembly.place_samples(&samples);
    assembly.place_waits();
}

struct Assembly<'a, 'n> {
    tree: &'a mut CallTree,
    log: &'a NativeLog,
    paths: Paths<'a, 'n>,
}

impl<'a> Assembly<'a, '_> {
    fn place_runs(&mut self) {
        let log: &'a NativeLog = self.log;
        for (key, time) in log.runs.iter() {
            self.place_run(*key, time);
        }
    }

    fn place_run(&mut self, key: RunKey, time: Nanos) {
        let path = self.paths.of_run(key, &self.log.frames_to(self.tree, key.node));
        self.move_to(key.node, &path, time);
    }

    fn place_samples(&mut self, samples: &[TimedStack]) {
        let log: &'a NativeLog = self.log;
        for part in &log.sampled {
            let first = samples.partition_point(|sample| sample.at < part.from);
            let end = samples.partition_point(|sample| sample.at < part.to);
            match samples.get(first..end) {
                Some(within @ [_, ..]) => self.divide(*part, within),
                _ => self.place_run(part.key, part.to.saturating_sub(part.from)),
            }
        }
    }

    /// Each sample gets an equal share of the part's time; nanoseconds that do not divide go to the first ones.
    fn divide(&mut self, part: SampledPart, samples: &[TimedStack]) {
        let (time, count) = (part.to.saturating_sub(part.from).0, samples.len() as u64);
        let by_hand = self.log.frames_to(self.tree, part.key.node);
        for (number, sample) in (0u64..).zip(samples) {
            let share = time / count + u64::from(number < time % count);
            let path = self.paths.of_sample(&sample.frames, &by_hand);
            self.move_to(part.key.node, &path, Nanos(share));
        }
    }

    fn place_waits(&mut self) {
        let log: &'a NativeLog = self.log;
        for (key, time) in log.waits.iter() {
            let path = if key.is_queue { self.queue_path(*key) } else { self.sleep_path(*key) };
            self.move_to(key.node, &path, time);
        }
        for ((number, node), time) in log.claimed.iter() {
            let Some(key) = log.waits.key(*number) else { continue };
            let label = self.tree.frame(*node);
            let mut path = self.waiting_path(key.pending, self.tree.parent(*node).unwrap_or(NodeId::ROOT));
            path.push(label);
            self.move_to(*node, &path, time);
        }
    }

    /// The common ancestor of the pending sites, SLEEP, the branch that fired if there were several, and who woke it.
    fn sleep_path(&mut self, key: WaitKey) -> Vec<FrameId> {
        let mut path = self.waiting_path(key.pending, key.node);
        if let Some((pending, fired)) = key.pending.zip(key.fired)
            && let live = self.paths.live(pending)
            && live.len() > 1
            && live.contains(&fired)
        {
            let depth = path.len().saturating_sub(1);
            path.extend(self.paths.of_site(fired).iter().skip(depth).map(|element| element.frame));
        }
        path.extend(self.paths.answer(key.task, key.waker));
        path
    }

    fn queue_path(&mut self, key: WaitKey) -> Vec<FrameId> {
        let mut path = self.waiting_path(key.pending, self.tree.parent(key.node).unwrap_or(NodeId::ROOT));
        path.push(self.tree.frame(key.node));
        path
    }

    /// Where the task waits, and SLEEP; without sites, where `sleep` is in the tree.
    fn waiting_path(&mut self, pending: Option<SetId>, sleep: NodeId) -> Vec<FrameId> {
        let Some(pending) = pending else { return frames_down_to(self.tree, sleep) };
        let mut path: Vec<FrameId> = self.paths.of_set(pending).iter().map(|element| element.frame).collect();
        path.push(FrameId::SLEEP);
        path
    }

    fn move_to(&mut self, from: NodeId, path: &[FrameId], time: Nanos) {
        let mut to = NodeId::ROOT;
        for frame in path {
            let child = self.tree.child(to, *frame);
            if child == to {
                // No room: the nearest path that is kept.
                break;
            }
            to = child;
        }
        self.tree.move_own(from, to, time);
    }
}

fn frames_down_to(tree: &CallTree, node: NodeId) -> Vec<FrameId> {
    let mut frames = Vec::new();
    let mut at = node;
    while let Some(parent) = tree.parent(at) {
        frames.push(tree.frame(at));
        at = parent;
    }
    frames.reverse();
    frames
}
