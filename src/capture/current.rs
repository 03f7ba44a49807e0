//! Which recorder the present thread writes to.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

use super::recorder::Recorder;
use crate::model::ids::TraceId;
use crate::model::trace_event::EndReason;

type Slot = RefCell<Option<Box<Recorder>>>;

thread_local! {
    // `ManuallyDrop`: without a destructor the slot costs no registration and can be read while the thread is
    // torn down. It is empty whenever no poll runs, so nothing leaks.
    static CURRENT: ManuallyDrop<Slot> = const { ManuallyDrop::new(RefCell::new(None)) };
    // Whether `CURRENT` holds a recorder: one load, where a borrow takes two and two stores.
    static IS_TRACED: Cell<bool> = const { Cell::new(false) };
    static IN_AGENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a trace runs on this thread.
#[inline]
pub(crate) fn is_traced() -> bool {
    IS_TRACED.try_with(Cell::get).unwrap_or(false)
}

/// Runs `f` with this thread's recorder, if a trace runs here.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    if !is_traced() {
        return None;
    }
    // A failed borrow means that `f` came back here (an allocator that opens frames): nothing is recorded.
    CURRENT.try_with(|slot| slot.try_borrow_mut().ok()?.as_deref_mut().map(f)).ok().flatten()
}

/// Puts `recorder` in force and gives back the one that was.
pub(crate) fn replace(recorder: Option<Box<Recorder>>) -> Option<Box<Recorder>> {
    let is_traced = recorder.is_some();
    let replace = |slot: &mut Option<Box<Recorder>>| {
        // `Err` only where this platform's thread-locals are gone, and `CURRENT` with them.
        IS_TRACED.try_with(|flag| flag.set(is_traced)).ok();
        std::mem::replace(slot, recorder)
    };
    CURRENT.try_with(|slot| slot.try_borrow_mut().ok().and_then(|mut slot| replace(&mut slot))).ok().flatten()
}

/// Whether a trace of the agent `agent` runs on this thread.
#[inline]
pub(crate) fn is_inside(agent: u64) -> bool {
    with_current(|recorder| recorder.shared.core.agent == agent).unwrap_or(false)
}

/// The id of the trace that runs on this thread. Outside of one, and in work that was not sampled, `None`.
pub fn current_trace_id() -> Option<TraceId> {
    with_current(|recorder| recorder.shared.id)
}

/// Names the endpoint of the trace that runs on this thread, in place of the identifier it was admitted with:
/// for requests whose route no layer can know. Deduplication then goes by it, so it must never hold what differs
/// from one request to the next. Of more than 1,024 bytes the rest is cut off.
///
/// Only the first call in a trace has an effect; it returns true. A later one returns false, and so does one outside
/// of a trace, where `identifier` is not converted either.
///
/// ```
/// async fn not_found() -> &'static str {
///     flame_on::set_identifier("GET (not found)");
///     "nothing here"
/// }
/// ```
pub fn set_identifier(identifier: impl Into<String>) -> bool {
    // Not converted while the slot is borrowed: the conversion is the caller's code.
    let shared = with_current(|recorder| recorder.shared.clone());
    shared.is_some_and(|shared| shared.set_identifier(identifier.into()))
}

/// Marks this thread as one of the agent's own: it never traces itself.
pub(crate) fn enter_agent() {
    // `Err` while the thread is torn down, when nothing is traced anyway.
    IN_AGENT.try_with(|mark| mark.set(true)).ok();
}

/// Whether this thread is one of the agent's own.
#[inline]
pub(crate) fn is_in_agent() -> bool {
    IN_AGENT.try_with(Cell::get).unwrap_or(true)
}

/// Ends the trace that runs here, if it is of `agent` and the event `started_by` began it.
pub(crate) fn stop_started_by(agent: u64, started_by: &str) -> bool {
    with_current(|recorder| {
        let shared = &recorder.shared;
        let is_ours = shared.core.agent == agent && shared.header.started_by == started_by;
        let is_ended = is_ours && shared.end(EndReason::Stopped, shared.core.clock.raw());
        if is_ended {
            shared.signal();
        }
        is_ended
    })
    .unwrap_or(false)
}

/// The agent whose trace runs here.
pub(crate) fn current_agent() -> Option<u64> {
    with_current(|recorder| recorder.shared.core.agent)
}
