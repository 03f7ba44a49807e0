//! When host threads wake the agent: what an [`Inbox`](super::inbox::Inbox) knows beside its queue.
//!
//! Whoever drains either sleeps until it is woken, or looks by itself every now and then and is woken only in a hurry.
//! From the first ring until the next drain it owes a look, or is owed a wake.

use crate::safety::atomic::{AtomicU32, Ordering};

/// Set from the first ring until the next drain.
const RUNG: u32 = 1;
/// Set from the first wake until the next drain, so that a burst wakes once.
const WOKEN: u32 = 2;
/// Whoever drains looks by itself.
const LOOKS: u32 = 4;

/// Bits of one word: of two changes one is first, and the other one sees it.
#[derive(Debug)]
pub(crate) struct Rings(AtomicU32);

impl Rings {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Something was queued; whether to wake.
    pub(crate) fn ring(&self) -> bool {
        // AcqRel, as all of them: the drain that clears the bit sees what was queued before. Of several rings between two
        // drains only the first wakes, and the pops of the second drain see the items of all.
        let before = self.0.fetch_or(RUNG, Ordering::AcqRel);
        before & (RUNG | LOOKS) == 0 && self.hurry()
    }

    /// What is queued should not wait for a look; whether to wake.
    pub(crate) fn hurry(&self) -> bool {
        self.0.fetch_or(WOKEN, Ordering::AcqRel) & WOKEN == 0
    }

    /// To be called before the first pop.
    pub(crate) fn begin_drain(&self) {
        self.0.fetch_and(!(RUNG | WOKEN), Ordering::AcqRel);
    }

    /// Whether something was queued since the last drain.
    pub(crate) fn is_rung(&self) -> bool {
        self.0.load(Ordering::Acquire) & RUNG != 0
    }

    /// From now on whoever drains looks by itself.
    pub(crate) fn start_looking(&self) {
        self.0.fetch_or(LOOKS, Ordering::AcqRel);
    }

    /// From now on it sleeps; whether to wake it for what was queued meanwhile.
    pub(crate) fn stop_looking(&self) -> bool {
        // A ring before this one has woken nobody; one after it wakes.
        self.0.fetch_and(!LOOKS, Ordering::AcqRel) & RUNG != 0 && self.hurry()
    }
}
