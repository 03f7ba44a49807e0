//! Panics as events.
//!
//! The hook is chained before the one that was there, which runs in any case. It runs in the panicking thread before
//! anything is unwound, so the context, the agent and the trace of the task are still in force. **A panic in it would
//! abort the process**: nothing in it calls the host's code, waits for a lock that this thread may hold, or can fail.
//!
//! Whoever meets the panic later (the HTTP layer, a join) does not report it again: [`TaskContext`] remembers.
//!
//! [`TaskContext`]: super::context::TaskContext

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::backtrace;
use super::capture::{Busy, new_event, send};
use super::context;
use super::core::{ErrorCore, is_any_capturing};
use crate::FlameOn;
use crate::capture::current::{current_trace_id, is_in_agent};
use crate::model::counters::Count;
use crate::model::error_event::{Exception, Severity};
use crate::model::graphemes;

/// Under `panic = "abort"` the process waits this long at most for its last event to be shipped.
const LAST_FLUSH: Duration = Duration::from_secs(1);

static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Chains the hook, once in a process. It stays when the agents stop, and then only calls the one before it: taking it
/// out would take out what others have chained after it too.
pub(crate) fn install() {
    // In a panicking thread the hook cannot be changed; the next start tries again.
    if std::thread::panicking() || IS_INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let previous = take_hook();
    set_hook(Box::new(move |info| {
        record(info);
        previous(info);
    }));
}

fn record(info: &PanicHookInfo<'_>) {
    if !is_any_capturing() || is_in_agent() {
        return;
    }
    let Some(_busy) = Busy::enter() else { return };
    let agent = FlameOn::current_in_panic();
    let Some(core) = agent.errors().filter(|core| core.is_open()) else { return };
    capture(core, info);
    // Known when the crate is built, which is with the same strategy as the host.
    if cfg!(panic = "abort") {
        core.flush(LAST_FLUSH);
    }
}

fn capture(core: &ErrorCore, info: &PanicHookInfo<'_>) {
    let slot = context::current();
    let mut event = new_event(core);
    let message = payload_of(info);
    let max_bytes = graphemes::max_bytes(core.limits.max_string_length());
    graphemes::first_bytes(message, max_bytes).clone_into(&mut event.message);
    // Of the task that panics; with an abort the process is over.
    event.severity = if cfg!(panic = "abort") { Severity::Fatal } else { Severity::Error };
    event.handled = false;
    event.trace_id = current_trace_id();
    event.exceptions = vec![Exception {
        type_name: "panic".to_owned(),
        value: event.message.clone(),
        frames: info.location().map(backtrace::frame_at).into_iter().collect(),
    }];
    if let Some(name) = std::thread::current().name() {
        event.contexts.insert("thread".to_owned(), name.to_owned());
    }
    if let Some(location) = info.location() {
        event.contexts.insert("location".to_owned(), location.to_string());
    }
    if let Some(slot) = &slot {
        slot.note_panic();
        slot.describe(&mut event, false);
    }
    core.counters.count(Count::PanicsCaptured);
    send(core, event, &[], backtrace::unresolved(&core.counters));
}

/// A payload is any type; those that `panic!` makes are texts.
fn payload_of<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}
