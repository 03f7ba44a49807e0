//! What is in force for all threads: set by the agents as they come and go, read by the threads and their handlers.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::safety::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, statics};

statics! {
    /// Counts up each time that the first agent comes; zero while there is none.
    static EPOCH: AtomicU64 = AtomicU64::new(0);
    static PERIOD: AtomicU64 = AtomicU64::new(1);
    /// The rate that the period was made of.
    static HZ: AtomicU32 = AtomicU32::new(0);
    /// Nanoseconds that a tick takes of its thread; 0: not known.
    static TICK_COST: AtomicU64 = AtomicU64::new(0);
    static SIGNAL: AtomicI32 = AtomicI32::new(libc::SIGURG);
    static MAX_THREADS: AtomicUsize = AtomicUsize::new(0);
    /// A timer was deleted whose last tick had not arrived.
    static HAS_LATE_TICKS: AtomicBool = AtomicBool::new(false);
}

/// There are agents. Copied out of the statics as needed: a handler holds it for no longer than it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Force {
    epoch: u64,
}

/// `None` while there is no agent. Async-signal-safe.
#[inline]
pub(super) fn present() -> Option<Force> {
    // SeqCst: see `Slot::arm`. On both architectures such a load is a plain one (x86_64) or an acquiring one (aarch64).
    let epoch = EPOCH.load(SeqCst);
    (epoch != 0).then_some(Force { epoch })
}

/// Whether `epoch` is the present one; for the way into a poll, where one that has just ended does no harm.
#[inline]
pub(super) fn epoch() -> u64 {
    EPOCH.load(Relaxed)
}

/// As [`Force::period`]; the last one where there is no agent.
#[inline]
pub(super) fn period() -> u64 {
    PERIOD.load(Relaxed)
}

impl Force {
    pub(super) fn epoch(self) -> u64 {
        self.epoch
    }

    /// Nanoseconds between two ticks of a thread, on average.
    #[inline]
    pub(super) fn period(self) -> u64 {
        period()
    }

    /// Does not change while there are agents.
    #[inline]
    pub(super) fn signal(self) -> libc::c_int {
        SIGNAL.load(Relaxed)
    }

    pub(super) fn max_threads(self) -> usize {
        MAX_THREADS.load(Relaxed)
    }
}

/// For agents that come or go, and when it is known what a tick takes. `hz` is taken as 1 to 10,000.
pub(super) fn adjust(hz: u32, max_threads: usize) {
    // Never zero: the handler divides by it.
    let hz = hz.clamp(1, 10_000);
    PERIOD.store(1_000_000_000 / u64::from(hz), Relaxed);
    HZ.store(hz, Relaxed);
    MAX_THREADS.store(max_threads, Relaxed);
}

/// The rate in force; the last one where there is no agent.
pub(super) fn hz() -> u32 {
    HZ.load(Relaxed)
}

/// What a tick takes of its thread, in nanoseconds; 0 where that was not measured.
pub(super) fn tick_cost() -> u64 {
    TICK_COST.load(Relaxed)
}

/// It was measured.
pub(super) fn set_tick_cost(nanos: u64) {
    TICK_COST.store(nanos, Relaxed);
}

/// The first agent is here. `epoch` is not zero, and was not used before.
pub(super) fn begin(epoch: u64, signal: libc::c_int) {
    SIGNAL.store(signal, Relaxed);
    EPOCH.store(epoch, SeqCst);
}

/// The last agent has gone: nothing is armed from now on, but for what is under way.
pub(super) fn end() {
    EPOCH.store(0, SeqCst);
}

/// From now on a tick may arrive at any time, so our handler has to stay.
pub(super) fn expect_late_ticks() {
    HAS_LATE_TICKS.store(true, Relaxed);
}

pub(super) fn has_late_ticks() -> bool {
    HAS_LATE_TICKS.load(Relaxed)
}
