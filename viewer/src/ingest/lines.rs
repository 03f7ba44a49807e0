//! Error events as lines of JSON, as the agent's local adapter leaves them.
//!
//! A line becomes the message that a server would have been sent, and is then checked as one.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use prost_types::Timestamp;
use serde::Deserialize;

use super::check::Refusal;
use super::error_event::{self, MAX_EVENT};
use crate::proto::flame_on as proto;
use crate::store::NewError;

/// Bytes of a line at most: what is escaped takes up to six times as much as in the message.
pub(crate) const MAX_LINE: usize = 6 * MAX_EVENT;

/// Reads one line.
pub(crate) fn from_line(line: &[u8], now_us: i64) -> Result<NewError, Refusal> {
    if line.len() > MAX_LINE {
        return Err(Refusal::TooLarge { limit: MAX_LINE });
    }
    let event: Event = serde_json::from_slice(line)?;
    error_event::from_message(Bytes::from(proto::ErrorEvent::from(event).encode_to_vec()), now_us)
}

type Pairs = BTreeMap<String, String>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    event_id: String,
    occurred_at_ms: u64,
    environment: String,
    service: String,
    release: String,
    route: String,
    severity: String,
    message: String,
    handled: bool,
    trace_id: Option<String>,
    span_id: String,
    fingerprint: Vec<String>,
    exceptions: Vec<Exception>,
    request: Option<Request>,
    user: Option<User>,
    breadcrumbs: Vec<Breadcrumb>,
    tags: Pairs,
    contexts: Pairs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Exception {
    r#type: String,
    value: String,
    frames: Vec<Frame>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame {
    function: String,
    module: String,
    file: String,
    line: u32,
    column: u32,
    in_app: bool,
    abs_path: String,
    context_line: String,
    pre_context: Vec<String>,
    post_context: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    method: String,
    url: String,
    route: String,
    headers: Vec<(String, String)>,
    remote_addr: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    id: Option<String>,
    email: Option<String>,
    username: Option<String>,
    ip_address: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Breadcrumb {
    timestamp_ms: u64,
    category: String,
    message: String,
    r#type: String,
    level: String,
    data: Pairs,
}

fn timestamp(millis: u64) -> Option<Timestamp> {
    let nanos = i32::try_from(millis % 1_000).ok()? * 1_000_000;
    Some(Timestamp { seconds: i64::try_from(millis / 1_000).ok()?, nanos })
}

fn pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<proto::KeyValue> {
    pairs.into_iter().map(|(key, value)| proto::KeyValue { key, value }).collect()
}

impl From<Event> for proto::ErrorEvent {
    fn from(event: Event) -> Self {
        Self {
            event_id: event.event_id,
            occurred_at: timestamp(event.occurred_at_ms),
            platform: "rust".to_owned(),
            environment: event.environment,
            service: event.service,
            route: event.route,
            release: event.release,
            severity: event.severity,
            message: event.message,
            handled: event.handled,
            trace_id: event.trace_id.unwrap_or_default(),
            span_id: event.span_id,
            fingerprint: event.fingerprint,
            exceptions: event.exceptions.into_iter().map(Into::into).collect(),
            request: event.request.map(Into::into),
            user: event.user.map(Into::into),
            breadcrumbs: event.breadcrumbs.into_iter().map(Into::into).collect(),
            tags: pairs(event.tags),
            contexts: pairs(event.contexts),
        }
    }
}

impl From<Exception> for proto::Exception {
    fn from(exception: Exception) -> Self {
        let frames: Vec<_> = exception.frames.into_iter().map(Into::into).collect();
        let stack_trace = (!frames.is_empty()).then_some(proto::StackTrace { frames });
        Self { r#type: exception.r#type, value: exception.value, stack_trace }
    }
}

impl From<Frame> for proto::StackFrame {
    fn from(frame: Frame) -> Self {
        Self {
            function: frame.function,
            module: frame.module,
            file: frame.file,
            line: frame.line,
            column: frame.column,
            in_app: frame.in_app,
            abs_path: frame.abs_path,
            context_line: frame.context_line,
            pre_context: frame.pre_context,
            post_context: frame.post_context,
        }
    }
}

impl From<Request> for proto::RequestContext {
    fn from(request: Request) -> Self {
        Self {
            method: request.method,
            url: request.url,
            route: request.route,
            headers: pairs(request.headers),
            remote_addr: request.remote_addr,
        }
    }
}

impl From<User> for proto::UserContext {
    fn from(user: User) -> Self {
        Self {
            id: user.id.unwrap_or_default(),
            email: user.email.unwrap_or_default(),
            username: user.username.unwrap_or_default(),
            ip_address: user.ip_address.unwrap_or_default(),
        }
    }
}

impl From<Breadcrumb> for proto::Breadcrumb {
    fn from(crumb: Breadcrumb) -> Self {
        Self {
            timestamp: timestamp(crumb.timestamp_ms),
            category: crumb.category,
            message: crumb.message,
            r#type: crumb.r#type,
            level: crumb.level,
            data: pairs(crumb.data),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const LINE: &str = r#"{"occurred_at":"2023-11-14T22:13:20.123Z","event_id":"AB-1","occurred_at_ms":1700000000123,
        "service":"shop","severity":"fatal","message":"it broke","handled":false,"trace_id":"0af7","user":null,
        "exceptions":[{"type":"io::Error","value":"pipe","frames":[{"function":"shop::send","line":7,"in_app":true}]}],
        "request":{"method":"GET","url":"/a","headers":[["a","b"]]},"tags":{"k":"v"},"later":{"versions":["add"]}}"#;

    #[test]
    fn a_line_is_the_event_that_a_server_would_have_been_sent() {
        let NewError { row, event_gz, .. } = from_line(LINE.as_bytes(), 7).unwrap();
        assert_eq!((row.event_id.as_str(), row.occurred_us), ("ab-1", 1_700_000_000_123_000));
        assert_eq!((row.title.as_str(), row.culprit.as_str()), ("io::Error: pipe", "shop::send"));
        assert_eq!((row.trace_id.as_str(), row.is_handled, row.severity.as_str()), ("0af7", false, "fatal"));
        let event = error_event::stored_event(&event_gz).unwrap();
        assert_eq!(event.request.unwrap().headers, pairs([("a".to_owned(), "b".to_owned())]));
        assert_eq!((event.user, event.tags[0].value.as_str()), (None, "v"));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for bad in ["", "{", "[]", "{}", r#"{"event_id":"a/b"}"#, r#"{"event_id":"a","trace_id":"../x"}"#] {
            assert!(from_line(bad.as_bytes(), 7).is_err(), "{bad}");
        }
        let deep = format!(r#"{{"event_id":"a","x":{}"#, "[".repeat(100_000));
        assert!(matches!(from_line(deep.as_bytes(), 7), Err(Refusal::NotJson(_))));
        assert!(matches!(from_line(&vec![b' '; MAX_LINE + 1], 7), Err(Refusal::TooLarge { .. })));
    }
}
