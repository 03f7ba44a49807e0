//! One call of an adapter, seen from its two sides: the worker, and the caller who may stop waiting.
//!
//! ```text
//! waiting ──► running ──► done          the outcome counts
//!    │           │
//!    │           └──────► abandoned     past deadline + GRACE: the thread is left to itself
//!    └──────────────────► given up      no thread was free in time: the adapter was never called
//! ```

use std::sync::Arc;

use crate::safety::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Threads that one adapter may hold past their deadline before it is not called any more.
pub(super) const MAX_STUCK: usize = 2;

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const ABANDONED: u8 = 3;
const GIVEN_UP: u8 = 4;

/// Counts the threads that one adapter blocks past their deadline.
#[derive(Debug, Default)]
pub(crate) struct AdapterHealth {
    stuck: AtomicUsize,
}

impl AdapterHealth {
    /// Calls that block their thread past their deadline now.
    pub(crate) fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Acquire)
    }

    /// Whether the adapter is not called any more; ends when one of its stuck calls comes back after all.
    pub(crate) fn is_switched_off(&self) -> bool {
        self.stuck() >= MAX_STUCK
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ticket {
    state: AtomicU8,
    health: Arc<AdapterHealth>,
}

/// When a caller stopped waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    BeforeItBegan,
    WhileItRuns,
    AfterItsEnd,
}

impl Ticket {
    pub(crate) fn new(health: Arc<AdapterHealth>) -> Self {
        Self { state: AtomicU8::new(WAITING), health }
    }

    /// The worker's side: false when nobody waits any more.
    pub(crate) fn begin(&self) -> bool {
        self.advance(WAITING, RUNNING)
    }

    /// The worker's side, after a call that has begun.
    pub(crate) fn end(&self) {
        if !self.advance(RUNNING, DONE) {
            self.health.stuck.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The caller's side, when it stops waiting.
    pub(crate) fn leave(&self) -> Left {
        if self.advance(WAITING, GIVEN_UP) {
            return Left::BeforeItBegan;
        }
        if self.state.load(Ordering::Acquire) != RUNNING {
            return Left::AfterItsEnd;
        }
        // Counted first, so that the worker never takes back what has not been counted yet.
        self.health.stuck.fetch_add(1, Ordering::AcqRel);
        if self.advance(RUNNING, ABANDONED) {
            return Left::WhileItRuns;
        }
        self.health.stuck.fetch_sub(1, Ordering::AcqRel);
        Left::AfterItsEnd
    }

    fn advance(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
