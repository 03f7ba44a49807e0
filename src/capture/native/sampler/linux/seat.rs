//! The slot of the present thread.

use std::cell::Cell;

use super::counters::COUNTERS;
use super::disposition;
use super::force::{self, Force};
use super::pool::{self, Refusal};
use super::slot::Slot;
use crate::capture::native::fork::is_forked_child;

/// No value of [`pool::changes`].
const NEVER: u64 = 0;

thread_local! {
    // Apart from the guard: what has no destructor is reached without asking whether it has run.
    static SLOT: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    static REFUSED_AT: Cell<u64> = const { Cell::new(NEVER) };
    static GUARD: Guard = const { Guard };
}

/// Gives the slot back, and with it the timer, when the thread ends.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        let slot = SLOT.try_with(Cell::take).ok().flatten();
        // In a forked child the timer's id may be that of another timer, and the slot is the parent's.
        if let Some(slot) = slot.filter(|_| !is_forked_child()) {
            pool::release(slot);
        }
    }
}

/// The present thread's slot with a timer for the agents that run now; `None` where it cannot have one.
#[inline]
pub(super) fn slot() -> Option<&'static Slot> {
    let slot = SLOT.try_with(Cell::get).ok()?;
    match slot {
        Some(slot) if slot.is_of(force::epoch()) => Some(slot),
        _ => sit(slot),
    }
}

/// Whether `slot` is still the present thread's: a stack that was switched may go on in another one.
#[inline]
pub(super) fn is_in(slot: &'static Slot) -> bool {
    SLOT.try_with(Cell::get).is_ok_and(|own| own.is_some_and(|own| std::ptr::eq(own, slot)))
}

/// Once a thread and agent; and once a poll, but then short, where there is no slot to be had.
#[cold]
fn sit(own: Option<&'static Slot>) -> Option<&'static Slot> {
    let force = force::present()?;
    let changes = pool::changes();
    if is_forked_child() || REFUSED_AT.try_with(Cell::get).ok()? == changes {
        return None;
    }
    // Fails when the thread is past its end: nobody would delete the timer.
    GUARD.try_with(|_| ()).ok()?;
    let slot = match own {
        Some(slot) => slot,
        None => pool::take(force.max_threads()).map_err(|refusal| count_refusal(refusal, changes)).ok()?,
    };
    prepare(slot, force)
}

fn prepare(slot: &'static Slot, force: Force) -> Option<&'static Slot> {
    if let Err(error) = slot.prepare(force) {
        SLOT.set(None);
        pool::give_up(slot);
        COUNTERS.thread_failed(error.raw_os_error().unwrap_or(0));
        REFUSED_AT.set(pool::changes());
        return None;
    }
    SLOT.set(Some(slot));
    if disposition::is_blocked(force.signal()) {
        COUNTERS.threads_blocking.add();
    }
    Some(slot)
}

fn count_refusal(refusal: Refusal, changes: u64) {
    let is_first = REFUSED_AT.replace(changes) == NEVER;
    match refusal {
        Refusal::Full if is_first => COUNTERS.threads_refused.add(),
        Refusal::Full => {}
        Refusal::NoMemory => COUNTERS.thread_failed(libc::ENOMEM),
    }
}
