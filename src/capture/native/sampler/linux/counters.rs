//! What is counted, by the handler and elsewhere.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// A count that a signal handler may raise. Relaxed throughout: each stands for itself.
#[derive(Debug)]
pub(super) struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of the process; what each means is said in `SamplerStats`.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) taken: Count,
    pub(super) foreign_stack: Count,
    pub(super) truncated: Count,
    pub(super) ring_full: Count,
    pub(super) rate_limited: Count,
    pub(super) queue_full: Count,
    pub(super) idle_ticks: Count,
    pub(super) stopped: Count,
    pub(super) lost_ticks: Count,
    pub(super) withheld: Count,
    pub(super) stale_ticks: Count,
    pub(super) chained: Count,
    pub(super) threads_refused: Count,
    pub(super) threads_failed: Count,
    pub(super) threads_blocking: Count,
    pub(super) last_errno: AtomicI32,
}

pub(super) static COUNTERS: Counters = Counters {
    taken: Count::new(),
    foreign_stack: Count::new(),
    truncated: Count::new(),
    ring_full: Count::new(),
    rate_limited: Count::new(),
    queue_full: Count::new(),
    idle_ticks: Count::new(),
    stopped: Count::new(),
    lost_ticks: Count::new(),
    withheld: Count::new(),
    stale_ticks: Count::new(),
    chained: Count::new(),
    threads_refused: Count::new(),
    threads_failed: Count::new(),
    threads_blocking: Count::new(),
    last_errno: AtomicI32::new(0),
};

impl Counters {
    pub(super) fn thread_failed(&self, errno: i32) {
        self.threads_failed.add();
        self.last_errno.store(errno, Ordering::Relaxed);
    }
}
