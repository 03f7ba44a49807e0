//! From a report to a queued event, in the host's thread.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, TryLockError};
use std::time::SystemTime;

use super::backtrace;
use super::context::{self, Slot, default_keys};
use super::core::ErrorCore;
use super::kind;
use super::report::{Cause, Report};
use super::type_names;
use crate::capture::current::{current_trace_id, is_in_agent};
use crate::capture::dice::random_bits;
use crate::model::counters::Count;
use crate::model::error_dedupe::ErrorKind;
use crate::model::error_event::{ErrorEvent, Exception};
use crate::model::graphemes;
use crate::model::ids::EventId;
use crate::model::redact::event::{EventRedactor, MAX_EXCEPTIONS};
use crate::model::redact::keys::SecretKeys;
use crate::model::text::BoundedText;

thread_local! {
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A capture at work on this thread. The host's code that runs in it (a `Display`) may fail, log or panic, and must
/// not come back here.
pub(super) struct Busy(());

impl Busy {
    /// `None` inside of another capture.
    pub(super) fn enter() -> Option<Self> {
        let was_busy = IS_BUSY.try_with(|busy| busy.replace(true)).unwrap_or(true);
        // Not `then_some`: it would make one, and drop it.
        (!was_busy).then(|| Self(()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // `Err` while the thread is torn down, when nothing more is captured on it.
        IS_BUSY.try_with(|busy| busy.set(false)).ok();
    }
}

/// Captures `report`; see [`capture_error`](crate::capture_error).
pub(crate) fn capture(core: &ErrorCore, report: Report<'_>) -> EventId {
    if !core.is_open() {
        core.counters.count(Count::ErrorsNotRunning);
        return EventId::NIL;
    }
    if is_in_agent() {
        return EventId::NIL;
    }
    let Some(_busy) = Busy::enter() else {
        core.counters.count(Count::ErrorsWithinCapture);
        return EventId::NIL;
    };
    // Unwind-safe: what the host's code can leave half-done is its own.
    match catch_unwind(AssertUnwindSafe(|| capture_now(core, report))) {
        Ok(event_id) => event_id,
        Err(payload) => {
            // Its drop may panic again, so it is leaked: a few bytes, once a panic.
            std::mem::forget(payload);
            core.counters.count(Count::ErrorCapturePanics);
            EventId::NIL
        }
    }
}

fn capture_now(core: &ErrorCore, report: Report<'_>) -> EventId {
    let slot = context::current();
    let trace_id = report.trace_id.or_else(current_trace_id).or_else(|| slot.as_ref()?.trace_id());
    if is_duplicate(core, slot.as_ref(), kind::of(&report, trace_id, &core.hasher)) {
        core.counters.count(Count::ErrorsDeduplicated);
        return EventId::NIL;
    }
    let mut event = new_event(core);
    event.trace_id = trace_id;
    let backtrace = fill(core, &mut event, &report);
    let redact = report.redact.clone();
    let has_own_user = report.user.is_some();
    say(&mut event, report);
    if let Some(slot) = &slot {
        slot.describe(&mut event, has_own_user);
    }
    send(core, event, &redact, backtrace)
}

/// An event of which nothing is known.
pub(super) fn new_event(core: &ErrorCore) -> ErrorEvent {
    ErrorEvent::new(EventId::from_random(random_bits()), SystemTime::now(), &core.origin)
}

/// Redacts an event and hands it over.
pub(super) fn send(
    core: &ErrorCore,
    mut event: ErrorEvent,
    redact: &[String],
    backtrace: Option<Backtrace>,
) -> EventId {
    if event.route.is_empty()
        && let Some(request) = &event.request
    {
        event.route.clone_from(&request.route);
    }
    let own_keys = (!redact.is_empty()).then(|| SecretKeys::with(redact));
    EventRedactor {
        keys: own_keys.as_ref().unwrap_or(default_keys()),
        max_string_length: core.limits.max_string_length(),
        max_breadcrumbs: core.limits.max_breadcrumbs(),
    }
    .redact(&mut event);
    let event_id = event.event_id;
    core.queue(event, backtrace);
    event_id
}

/// Outside of every context, all tasks of the agent share one memory.
fn is_duplicate(core: &ErrorCore, slot: Option<&Slot>, kind: ErrorKind) -> bool {
    let (now, window) = (core.now(), core.limits.dedupe_window());
    match slot {
        Some(slot) => slot.is_duplicate(kind, now, window),
        None => match core.outside.try_lock() {
            Ok(mut outside) => outside.is_duplicate(kind, now, window),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().is_duplicate(kind, now, window),
            // Held for a look at 64 numbers.
            Err(TryLockError::WouldBlock) => {
                core.outside.lock().unwrap_or_else(PoisonError::into_inner).is_duplicate(kind, now, window)
            }
        },
    }
}

/// What the report itself says.
fn say(event: &mut ErrorEvent, report: Report<'_>) {
    event.severity = report.severity;
    event.handled = report.handled;
    event.route = report.route.unwrap_or_default();
    event.span_id = report.span_id;
    event.fingerprint = report.fingerprint;
    event.request = report.request;
    event.user = report.user.flatten();
    event.breadcrumbs = report.breadcrumbs;
    event.tags = report.tags;
    event.contexts = report.contexts;
}

/// Message, exceptions and backtrace.
fn fill(core: &ErrorCore, event: &mut ErrorEvent, report: &Report<'_>) -> Option<Backtrace> {
    let max_bytes = graphemes::max_bytes(core.limits.max_string_length());
    let text = |text: &dyn fmt::Display| rendered(text, max_bytes);
    match &report.cause {
        Cause::Message(message) => {
            graphemes::first_bytes(message, max_bytes).clone_into(&mut event.message);
            return None;
        }
        Cause::Error { error, type_name } => {
            event.exceptions = chain(*error, type_name, max_bytes);
        }
        #[cfg(feature = "anyhow")]
        Cause::Anyhow(error) => {
            let outermost: &(dyn Error + 'static) = error.as_ref();
            event.exceptions = chain(outermost, type_names::of(outermost), max_bytes);
        }
        Cause::Text { type_name, text: display } => {
            event.exceptions = vec![exception(type_name, text(display))];
        }
    }
    let first = event.exceptions.first_mut()?;
    event.message.clone_from(&first.value);
    // Without a place it was told by a reporter, far from where it happened.
    first.frames = vec![backtrace::frame_at(report.location?)];
    #[cfg(feature = "anyhow")]
    if let Cause::Anyhow(error) = &report.cause
        && let Some(frames) = backtrace::own_frames(error.backtrace())
    {
        first.frames = frames;
        return None;
    }
    backtrace::unresolved(&core.counters)
}

fn chain(error: &(dyn Error + 'static), type_name: &str, max_bytes: usize) -> Vec<Exception> {
    let first = exception(type_name, rendered(&error, max_bytes));
    // Bounded, because a chain may be a circle.
    let sources = std::iter::successors(error.source(), |&error| error.source()).take(MAX_EXCEPTIONS - 1);
    let further = sources.map(|source| exception(type_names::of(source), rendered(&source, max_bytes)));
    std::iter::once(first).chain(further).collect()
}

fn exception(type_name: &str, value: String) -> Exception {
    Exception { type_name: type_name.to_owned(), value, frames: Vec::new() }
}

/// What `text` shows, up to the bytes that can be left of it.
fn rendered(text: &dyn fmt::Display, max_bytes: usize) -> String {
    let mut bounded = BoundedText::new(max_bytes);
    // `Err`: at the limit, or the host's own; what there is by then is kept.
    write!(bounded, "{text}").ok();
    bounded.into_string()
}
