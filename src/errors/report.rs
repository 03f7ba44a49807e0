//! What a capture says, before it is an event.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::panic::Location;

use serde::Serialize;

use super::context::default_keys;
use crate::FlameOn;
use crate::model::error_event::{Breadcrumb, RequestContext, Severity, User};
use crate::model::ids::{EventId, TraceId};
use crate::model::redact::json;

/// Bytes that a rendered context may have before it is cut to `max_string_length`.
const MAX_CONTEXT_BYTES: usize = 64 * 1024;

/// A report in the making: one type for errors, `anyhow`'s errors and messages. Nothing is rendered or copied before
/// [`capture`](Self::capture), and of a duplicate nothing at all.
///
/// ```
/// use flame_on::{Report, Severity};
///
/// # let error = "x".parse::<u8>().unwrap_err();
/// Report::error(&error).severity(Severity::Fatal).tag("shop", "eu").fingerprint(["prices"]).redact(["iban"]).capture();
/// ```
#[must_use = "call `capture`"]
pub struct Report<'e> {
    pub(crate) cause: Cause<'e>,
    /// Where it was captured; `None` when that tells nothing about the error.
    pub(crate) location: Option<&'static Location<'static>>,
    pub(crate) severity: Severity,
    pub(crate) handled: bool,
    pub(crate) route: Option<String>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: String,
    pub(crate) fingerprint: Vec<String>,
    pub(crate) request: Option<RequestContext>,
    /// `Some(None)`: nobody, whoever the context names.
    pub(crate) user: Option<Option<User>>,
    pub(crate) breadcrumbs: Vec<Breadcrumb>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) contexts: BTreeMap<String, String>,
    pub(crate) redact: Vec<String>,
}

/// What is reported.
pub(crate) enum Cause<'e> {
    Message(String),
    Error {
        error: &'e (dyn Error + 'static),
        /// Empty where it cannot be known.
        type_name: &'static str,
    },
    #[cfg(feature = "anyhow")]
    Anyhow(&'e anyhow::Error),
    /// An error of which only its text is known.
    Text {
        type_name: &'static str,
        text: &'e dyn fmt::Display,
    },
}

impl<'e> Report<'e> {
    pub(crate) fn of(cause: Cause<'e>, location: Option<&'static Location<'static>>) -> Self {
        Self {
            cause,
            location,
            severity: Severity::Error,
            handled: true,
            route: None,
            trace_id: None,
            span_id: String::new(),
            fingerprint: Vec::new(),
            request: None,
            user: None,
            breadcrumbs: Vec::new(),
            tags: BTreeMap::new(),
            contexts: BTreeMap::new(),
            redact: Vec::new(),
        }
    }

    /// Reports an error whose type is known here, and so its name.
    #[track_caller]
    pub fn error<E: Error + 'static>(error: &'e E) -> Self {
        Self::of(Cause::Error { error, type_name: std::any::type_name::<E>() }, Some(Location::caller()))
    }

    /// Reports an error of any type. Its name is known only for the common errors of the standard library.
    #[track_caller]
    pub fn dyn_error(error: &'e (dyn Error + 'static)) -> Self {
        Self::of(Cause::Error { error, type_name: super::type_names::of(error) }, Some(Location::caller()))
    }

    /// Reports an `anyhow` error with all of its contexts.
    #[cfg(feature = "anyhow")]
    #[track_caller]
    pub fn anyhow(error: &'e anyhow::Error) -> Self {
        Self::of(Cause::Anyhow(error), Some(Location::caller()))
    }

    /// Reports a message.
    #[track_caller]
    pub fn message(text: impl Into<String>) -> Self {
        Self::of(Cause::Message(text.into()), Some(Location::caller()))
    }

    /// Says how bad it is; [`Severity::Error`] unless said.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Says whether the code knew what to do about it; `true` unless said.
    pub fn handled(mut self, is_handled: bool) -> Self {
        self.handled = is_handled;
        self
    }

    /// Says what kind of work failed; else the request's route, or what the layer or reporter around it knows.
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// Links it to a trace other than the one that runs here.
    pub fn trace_id(mut self, trace_id: TraceId) -> Self {
        self.trace_id = Some(trace_id);
        self
    }

    /// Says the span of another tracer that it happened in.
    pub fn span_id(mut self, span_id: impl Into<String>) -> Self {
        self.span_id = span_id.into();
        self
    }

    /// Adds a short fact to search by; it wins over the context's of the same key.
    pub fn tag(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.tags.insert(key.into(), value.to_string());
        self
    }

    /// Adds a longer fact; it wins over the context's of the same name. Anything but a scalar becomes compact JSON
    /// without the values of secret keys; `None` and `()` are left out.
    pub fn context(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Some(value) = json::render(&value, default_keys(), MAX_CONTEXT_BYTES) {
            self.contexts.insert(name.into(), value);
        }
        self
    }

    /// Says which request it is about, in place of the one that the HTTP layer knows.
    pub fn request(mut self, request: RequestContext) -> Self {
        self.request = Some(request);
        self
    }

    /// Says whom it concerns, in place of the context's user; `None`: nobody.
    pub fn user(mut self, user: impl Into<Option<User>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Adds something that happened before, after the context's breadcrumbs.
    pub fn breadcrumb(mut self, breadcrumb: Breadcrumb) -> Self {
        self.breadcrumbs.push(breadcrumb);
        self
    }

    /// Errors of one fingerprint belong together, whatever their messages; without one the server decides.
    pub fn fingerprint<S: Into<String>>(mut self, parts: impl IntoIterator<Item = S>) -> Self {
        self.fingerprint = parts.into_iter().map(Into::into).collect();
        self
    }

    /// Names further keys whose values are secret in this event, beside those that always are.
    pub fn redact<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.redact.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Sends it through the current agent; [`FlameOn::capture`] names one. See
    /// [`capture_error`](crate::capture_error) for what is returned.
    pub fn capture(self) -> EventId {
        if super::core::is_any_capturing() { FlameOn::current().capture(self) } else { EventId::NIL }
    }
}

/// Without what it is about, which may be secret.
impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("location", &self.location)
            .field("severity", &self.severity)
            .finish_non_exhaustive()
    }
}
