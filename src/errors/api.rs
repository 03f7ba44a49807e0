//! The free functions: they mean the current agent, and the context of the task that runs here.

use std::error::Error;
use std::time::SystemTime;

use serde::Serialize;

use super::context::{self, ErrorContext};
use super::report::Report;
use crate::model::error_event::{Breadcrumb, Severity, User};
use crate::model::ids::EventId;

/// Captures `error` with the whole chain of its sources, a backtrace of here, and the context of the task that runs
/// here. Handled, of severity `error`; [`Report::error`] can say more.
///
/// [`EventId::NIL`] when nothing was captured: no agent captures errors, or the error is a duplicate of one captured
/// in this context within `error_dedupe_window_ms`. Never panics, waits or resolves symbols in the caller.
///
/// ```
/// let parsed = "x".parse::<u8>().inspect_err(|error| {
///     flame_on::capture_error(error);
/// });
/// # assert!(parsed.is_err());
/// ```
#[track_caller]
pub fn capture_error<E: Error + 'static>(error: &E) -> EventId {
    Report::error(error).capture()
}

/// Captures an `anyhow` error with all of its contexts, and with the backtrace that it was made with if it has one
/// (`RUST_LIB_BACKTRACE`, `RUST_BACKTRACE`), else one of here. As [`capture_error`] otherwise.
#[cfg(feature = "anyhow")]
#[track_caller]
pub fn capture_anyhow(error: &anyhow::Error) -> EventId {
    Report::anyhow(error).capture()
}

/// Captures a message that is no error of any type. As [`capture_error`] otherwise, without a backtrace.
#[track_caller]
pub fn capture_message(text: impl Into<String>, severity: Severity) -> EventId {
    Report::message(text).severity(severity).capture()
}

/// Changes what every later error of this task carries.
///
/// It acts on the context that the HTTP layer, a reporter, `.with_error_context()` or `.with_new_error_context()` has
/// opened around the running task; it follows the task across awaits and threads. On a thread that belongs to no
/// runtime it is the thread's own. On a runtime's thread outside of any scope, and inside of another call of this
/// function, nothing is changed and [`Stats::error_contexts_ignored`](crate::Stats) counts it: one user's identity
/// would leak into the next task. While no agent captures errors, `change` does not run.
pub fn configure_context(change: impl FnOnce(&mut ErrorContext)) {
    context::configure(change);
}

/// Says for whom the task that runs here works; see [`configure_context`].
///
/// ```
/// flame_on::set_user(flame_on::User::id("7").email("ann@example.com"));
/// flame_on::set_user(None);
/// ```
pub fn set_user(user: impl Into<Option<User>>) {
    configure_context(|context| context.set_user(user));
}

/// Sets a short fact to search by; see [`configure_context`].
pub fn set_tag(key: impl Into<String>, value: impl ToString) {
    configure_context(|context| context.set_tag(key, value));
}

/// Sets a longer fact; see [`configure_context`] and [`ErrorContext::set_context`].
pub fn set_context(name: impl Into<String>, value: impl Serialize) {
    configure_context(|context| context.set_context(name, value));
}

/// Adds something that happened; see [`configure_context`].
///
/// ```
/// flame_on::add_breadcrumb(flame_on::Breadcrumb::new("cart", "added").data("sku", 7));
/// ```
pub fn add_breadcrumb(breadcrumb: Breadcrumb) {
    configure_context(|context| context.add_breadcrumb(breadcrumb));
}

/// Forgets user, tags, contexts and breadcrumbs of the task that runs here; see [`configure_context`].
pub fn clear_context() {
    configure_context(ErrorContext::clear);
}

impl Breadcrumb {
    /// Something that happened just now, of kind `default` and level [`Severity::Info`].
    pub fn new(category: impl Into<String>, message: impl Into<String>) -> Self {
        Self::at(SystemTime::now(), category.into(), message.into())
    }
}
