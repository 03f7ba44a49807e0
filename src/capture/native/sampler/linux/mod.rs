//! Linux on x86_64 and aarch64.

mod chain;
mod cookie;
mod copy;
mod counters;
mod disposition;
mod drain;
mod force;
mod grid;
mod handle;
mod handler;
mod install;
mod last;
mod limit;
mod pool;
mod record;
mod registers;
mod rest;
mod ring;
mod running;
mod seat;
mod slot;
mod tick_cost;
mod timer;

pub(crate) use handle::{Entered, Sampler};

/// See `handler`; false when the thread has no slot.
#[cfg(feature = "testing")]
#[inline(always)]
pub(super) fn tick_by_hand() -> bool {
    seat::slot().map(handler::tick_by_hand).is_some()
}

/// Whether our handler stays for good, because a tick may still come of a timer that is gone.
#[cfg(feature = "testing")]
pub(super) fn has_late_ticks() -> bool {
    force::has_late_ticks()
}

/// Arms the thread's timer, for measuring.
#[cfg(feature = "testing")]
pub(super) fn arm_by_hand() {
    if let Some(slot) = seat::slot() {
        slot.arm(crate::capture::native::ticks::monotonic_nanos());
    }
}
