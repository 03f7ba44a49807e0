//! What the fuzz targets and `tests/golden.rs` drive of the error side. Not a part of the API.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use crate::errors::report::Report;
use crate::errors::{backtrace, kind, parse};
use crate::model::error_dedupe::{ErrorDedupe, ErrorKind};
use crate::model::error_event::{ErrorEvent, EventOrigin, REDACTED, RequestContext};
use crate::model::graphemes;
use crate::model::ids::{EventId, TraceId};
use crate::model::redact::event::EventRedactor;
use crate::model::redact::keys::SecretKeys;
use crate::model::redact::{text, url};
use crate::model::time::Nanos;

/// A text without its secrets.
#[must_use]
pub fn redact_text(text: &str) -> String {
    text::redacted(text, &SecretKeys::default()).into_owned()
}

/// A URL without its secrets.
#[must_use]
pub fn redact_url(url: &str) -> String {
    url::redacted(url, &SecretKeys::default())
}

/// How many frames a backtrace's text has.
pub fn frames_in(text: &str) -> usize {
    parse::frames(text).len()
}

/// Runs `f` as if an agent resolved a backtrace.
pub fn while_resolving(f: impl FnOnce()) {
    let _resolving = backtrace::Resolving::begin();
    f();
}

/// Redacts an event that has these pairs everywhere, and checks what must hold for any.
///
/// # Panics
/// When it does not hold.
#[allow(clippy::panic, reason = "a check")]
pub fn redact_event(pairs: &[(String, String)], message: &str, max_string_length: usize) {
    let origin = EventOrigin { environment: "".into(), service: "".into(), release: "".into() };
    let mut event = ErrorEvent::new(EventId::NIL, std::time::SystemTime::UNIX_EPOCH, &origin);
    event.message = message.to_owned();
    event.request = Some(RequestContext::new("GET", message));
    if let Some(request) = &mut event.request {
        request.headers = pairs.to_vec();
    }
    event.tags.extend(pairs.iter().cloned());
    event.contexts.extend(pairs.iter().cloned());
    let keys = SecretKeys::default();
    let redactor = EventRedactor { keys: &keys, max_string_length, max_breadcrumbs: 3 };
    redactor.redact(&mut event);
    let headers = event.request.iter().flat_map(|request| &request.headers).map(|(key, value)| (key, value));
    for (key, value) in event.tags.iter().chain(&event.contexts).chain(headers) {
        for text in [key, value] {
            assert_eq!(graphemes::first(text, max_string_length), text, "longer than {max_string_length}");
        }
        assert!(!keys.is_secret(key) || REDACTED.starts_with(value.as_str()), "{key:?}: {value:?}");
    }
}

/// Which errors of a sequence are duplicates: each is its kind and its time in milliseconds.
#[must_use]
pub fn duplicates(window_ms: u64, errors: &[(u64, u64)]) -> Vec<bool> {
    const MILLI: u64 = 1_000_000;
    let mut dedupe = ErrorDedupe::new();
    let window = Nanos(window_ms * MILLI);
    errors.iter().map(|(kind, at)| dedupe.is_duplicate(ErrorKind(*kind), Nanos(at * MILLI), window)).collect()
}

/// The kind of a report as a number; with a type it is that of an error of this type and of the report's message.
/// `frame` stands for where it was captured.
#[must_use]
pub fn kind_of(report: &Report<'_>, trace_id: TraceId, error_type: Option<&str>, frame: &str) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let of_report = kind::of_parts(report, error_type, Some(trace_id), &HASHER);
    // The vectors name frames that are not in this program.
    HASHER.hash_one((of_report.0, frame))
}
