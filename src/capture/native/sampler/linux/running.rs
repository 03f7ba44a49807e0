//! Which traced poll a thread runs: written by the thread, read by the handler that interrupts it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence};

/// What a tick is put down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Poll {
    /// Zero: none runs, and the rest means nothing.
    pub(super) label: u64,
    pub(super) agent: u64,
    pub(super) base: usize,
    /// Samples taken so far.
    pub(super) count: u32,
}

/// The poll at hand.
///
/// One thread writes, and only that thread's own handler reads besides: it sees the writes in the order of the program,
/// so compiler fences are all that is needed, and no access costs more than a plain one. The label is zero while the rest
/// changes.
#[derive(Debug, Default)]
pub(super) struct Running {
    label: AtomicU64,
    agent: AtomicU64,
    base: AtomicUsize,
    count: AtomicU32,
}

impl Running {
    /// Puts `next` in the place of what was there, and returns that.
    #[inline]
    pub(super) fn replace(&self, next: Poll) -> Poll {
        let label = self.label.load(Relaxed);
        self.label.store(0, Relaxed);
        // From here on the handler takes no sample, so the count read below is the last one.
        compiler_fence(Ordering::SeqCst);
        let before = Poll {
            label,
            agent: self.agent.load(Relaxed),
            base: self.base.load(Relaxed),
            count: self.count.load(Relaxed),
        };
        self.agent.store(next.agent, Relaxed);
        self.base.store(next.base, Relaxed);
        self.count.store(next.count, Relaxed);
        compiler_fence(Ordering::SeqCst);
        self.label.store(next.label, Relaxed);
        before
    }

    /// For another thread, to which the stack of the poll with this label was switched: it no longer runs here.
    pub(super) fn abandon(&self, label: u64) {
        self.label.compare_exchange(label, 0, Relaxed, Relaxed).ok();
    }

    /// For the handler: the poll that it has interrupted.
    #[inline]
    pub(super) fn interrupted(&self) -> Option<Poll> {
        let label = self.label.load(Relaxed);
        (label != 0).then(|| Poll {
            label,
            agent: self.agent.load(Relaxed),
            base: self.base.load(Relaxed),
            count: self.count.load(Relaxed),
        })
    }

    /// For the handler: one more sample was taken.
    #[inline]
    pub(super) fn has_taken(&self) {
        self.count.store(self.count.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_that_went_on_elsewhere_is_taken_away_and_no_other() {
        let running = Running::default();
        let poll = Poll { label: 1, agent: 2, base: 3, count: 0 };
        running.replace(poll);
        running.abandon(2);
        assert_eq!(running.interrupted(), Some(poll));
        running.abandon(1);
        assert_eq!(running.interrupted(), None);
    }

    #[test]
    fn polls_nest_and_each_counts_its_own_samples() {
        let running = Running::default();
        assert_eq!(running.interrupted(), None);
        let outer = Poll { label: 1, agent: 2, base: 3, count: 0 };
        let nothing = running.replace(outer);
        running.has_taken();
        let saved = running.replace(Poll { label: 9, ..outer });
        running.has_taken();
        running.has_taken();
        assert_eq!(running.replace(saved).count, 2);
        running.has_taken();
        assert_eq!(running.interrupted(), Some(Poll { count: 2, ..outer }));
        assert_eq!(running.replace(nothing).count, 2);
        assert_eq!(running.interrupted(), None);
    }
}
