//! Error events as the messages of `proto/`, in both directions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use prost::Message as _;

use super::proto::flame_on as wire;
use super::well_known::Timestamp;
use crate::model::error_event::{
    Breadcrumb, ErrorEvent, EventOrigin, Exception, RequestContext, Severity, StackFrame, User,
};
use crate::model::ids::EventId;

/// What the server knows Rust services by.
const PLATFORM: &str = "rust";

/// `event` as an encoded `ErrorEvent`.
pub(crate) fn encode(event: &ErrorEvent) -> Vec<u8> {
    to_wire(event).encode_to_vec()
}

/// As [`encode`], in at most `max_bytes`: without its lines of source, else without breadcrumbs, else without contexts
/// and headers. `None` when it is still too large then. The flag says whether something was left out.
pub(crate) fn encode_within(event: &ErrorEvent, max_bytes: usize) -> Option<(Vec<u8>, bool)> {
    let mut message = to_wire(event);
    let steps: [fn(&mut wire::ErrorEvent); 4] =
        [|_| {}, without_source, |event| event.breadcrumbs.clear(), without_contexts];
    for (taken, step) in steps.into_iter().enumerate() {
        step(&mut message);
        if message.encoded_len() <= max_bytes {
            return Some((message.encode_to_vec(), taken > 0));
        }
    }
    None
}

fn without_source(event: &mut wire::ErrorEvent) {
    let traces = event.exceptions.iter_mut().filter_map(|exception| exception.stack_trace.as_mut());
    for frame in traces.flat_map(|trace| &mut trace.frames) {
        frame.pre_context.clear();
        frame.post_context.clear();
    }
}

fn without_contexts(event: &mut wire::ErrorEvent) {
    event.contexts.clear();
    event.request.iter_mut().for_each(|request| request.headers.clear());
}

/// Reads what [`encode`] made; `None` for anything else.
pub(crate) fn decode(bytes: &[u8]) -> Option<ErrorEvent> {
    let message = wire::ErrorEvent::decode(bytes).ok()?;
    from_wire(message)
}

fn to_wire(event: &ErrorEvent) -> wire::ErrorEvent {
    wire::ErrorEvent {
        event_id: event.event_id.to_string(),
        occurred_at: Some(timestamp(event.occurred_at)),
        platform: PLATFORM.to_owned(),
        environment: event.environment.to_string(),
        service: event.service.to_string(),
        route: event.route.clone(),
        release: event.release.to_string(),
        severity: event.severity.as_str().to_owned(),
        message: event.message.clone(),
        handled: event.handled,
        trace_id: event.trace_id.map(|id| id.to_string()).unwrap_or_default(),
        span_id: event.span_id.clone(),
        fingerprint: event.fingerprint.clone(),
        exceptions: event.exceptions.iter().map(exception_to_wire).collect(),
        request: event.request.as_ref().map(request_to_wire),
        user: event.user.as_ref().map(user_to_wire),
        breadcrumbs: event.breadcrumbs.iter().map(breadcrumb_to_wire).collect(),
        tags: pairs_to_wire(&event.tags),
        contexts: pairs_to_wire(&event.contexts),
    }
}

fn exception_to_wire(exception: &Exception) -> wire::Exception {
    wire::Exception {
        r#type: exception.type_name.clone(),
        value: exception.value.clone(),
        stack_trace: Some(wire::StackTrace { frames: exception.frames.iter().map(frame_to_wire).collect() }),
    }
}

fn frame_to_wire(frame: &StackFrame) -> wire::StackFrame {
    wire::StackFrame {
        function: frame.function.clone(),
        module: frame.module.clone(),
        file: frame.file.clone(),
        line: frame.line,
        column: frame.column,
        in_app: frame.in_app,
        abs_path: frame.abs_path.clone(),
        context_line: frame.context_line.clone(),
        pre_context: frame.pre_context.clone(),
        post_context: frame.post_context.clone(),
    }
}

fn request_to_wire(request: &RequestContext) -> wire::RequestContext {
    let header = |(key, value): &(String, String)| wire::KeyValue { key: key.clone(), value: value.clone() };
    wire::RequestContext {
        method: request.method.clone(),
        url: request.url.clone(),
        route: request.route.clone(),
        headers: request.headers.iter().map(header).collect(),
        remote_addr: request.remote_addr.clone(),
    }
}

fn user_to_wire(user: &User) -> wire::UserContext {
    wire::UserContext {
        id: user.id.clone().unwrap_or_default(),
        email: user.email.clone().unwrap_or_default(),
        username: user.username.clone().unwrap_or_default(),
        ip_address: user.ip_address.clone().unwrap_or_default(),
    }
}

fn breadcrumb_to_wire(breadcrumb: &Breadcrumb) -> wire::Breadcrumb {
    wire::Breadcrumb {
        timestamp: Some(timestamp(breadcrumb.timestamp)),
        category: breadcrumb.category.clone(),
        message: breadcrumb.message.clone(),
        r#type: breadcrumb.kind.clone(),
        level: breadcrumb.level.as_str().to_owned(),
        data: pairs_to_wire(&breadcrumb.data),
    }
}

fn pairs_to_wire(pairs: &BTreeMap<String, String>) -> Vec<wire::KeyValue> {
    pairs.iter().map(|(key, value)| wire::KeyValue { key: key.clone(), value: value.clone() }).collect()
}

fn timestamp(time: SystemTime) -> Timestamp {
    time.into()
}

fn from_wire(event: wire::ErrorEvent) -> Option<ErrorEvent> {
    let origin = EventOrigin {
        environment: Arc::from(event.environment),
        service: Arc::from(event.service),
        release: Arc::from(event.release),
    };
    let event_id = EventId::from_text(&event.event_id)?;
    let mut read = ErrorEvent::new(event_id, time(event.occurred_at)?, &origin);
    read.route = event.route;
    read.severity = severity(&event.severity);
    read.message = event.message;
    read.handled = event.handled;
    read.trace_id = event.trace_id.parse().ok();
    read.span_id = event.span_id;
    read.fingerprint = event.fingerprint;
    read.exceptions = event.exceptions.into_iter().map(exception_from_wire).collect();
    read.request = event.request.map(|request| RequestContext {
        method: request.method,
        url: request.url,
        route: request.route,
        headers: request.headers.into_iter().map(|pair| (pair.key, pair.value)).collect(),
        remote_addr: request.remote_addr,
    });
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    read.user = event.user.map(|user| User {
        id: given(user.id),
        email: given(user.email),
        username: given(user.username),
        ip_address: given(user.ip_address),
    });
    read.breadcrumbs = event.breadcrumbs.into_iter().filter_map(breadcrumb_from_wire).collect();
    read.tags = pairs_from_wire(event.tags);
    read.contexts = pairs_from_wire(event.contexts);
    Some(read)
}

fn exception_from_wire(exception: wire::Exception) -> Exception {
    let frames = exception.stack_trace.unwrap_or_default().frames.into_iter().map(|frame| StackFrame {
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
    });
    Exception { type_name: exception.r#type, value: exception.value, frames: frames.collect() }
}

fn breadcrumb_from_wire(breadcrumb: wire::Breadcrumb) -> Option<Breadcrumb> {
    let mut read = Breadcrumb::at(time(breadcrumb.timestamp)?, breadcrumb.category, breadcrumb.message);
    read.kind = breadcrumb.r#type;
    read.level = severity(&breadcrumb.level);
    read.data = pairs_from_wire(breadcrumb.data);
    Some(read)
}

fn pairs_from_wire(pairs: Vec<wire::KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

fn severity(word: &str) -> Severity {
    let all = [Severity::Debug, Severity::Info, Severity::Warning, Severity::Error, Severity::Fatal];
    all.into_iter().find(|severity| severity.as_str() == word).unwrap_or_default()
}

fn time(timestamp: Option<Timestamp>) -> Option<SystemTime> {
    timestamp?.time()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ids::TraceId;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    /// An event in which every field is set.
    pub(crate) fn full(number: u128) -> ErrorEvent {
        let name: Arc<str> = "shop".into();
        let origin = EventOrigin { environment: "test".into(), service: name, release: "1.2".into() };
        let mut event = ErrorEvent::new(EventId::from_random(number), at(1_700_000_000_123), &origin);
        event.route = "GET /users/{id}".into();
        event.severity = Severity::Fatal;
        event.message = "boom".into();
        event.handled = false;
        event.trace_id = Some(TraceId::from_random(7));
        event.span_id = "b7ad6b7169203331".into();
        event.fingerprint = vec!["a".into(), "b".into()];
        let frame = StackFrame {
            function: "shop::f".into(),
            module: "shop".into(),
            file: "shop/src/lib.rs".into(),
            line: 7,
            column: 5,
            in_app: true,
            abs_path: "/shop/src/lib.rs".into(),
            context_line: "f();".into(),
            pre_context: vec!["{".into()],
            post_context: vec!["}".into()],
        };
        let exception = |value: &str, frames| Exception { type_name: "E".into(), value: value.into(), frames };
        event.exceptions = vec![exception("boom", vec![frame]), exception("cause", vec![])];
        event.request =
            Some(RequestContext::new("GET", "/users/7").route("/users/{id}").header("a", "b").remote_addr("::1"));
        event.user = Some(User::id("7").email("a@b").username("ann").ip_address("::1"));
        let crumb =
            Breadcrumb::at(at(5), "cart".into(), "added".into()).data("sku", 7).level(Severity::Warning).kind("http");
        event.breadcrumbs = vec![crumb];
        event.tags.insert("tag".into(), "1".into());
        event.contexts.insert("context".into(), "{}".into());
        event
    }

    #[test]
    fn what_was_encoded_is_read_again() {
        let event = full(1);
        assert_eq!(decode(&encode(&event)), Some(event.clone()));
        let empty = ErrorEvent::new(
            EventId::from_random(2),
            at(0),
            &EventOrigin { environment: "".into(), service: "".into(), release: "".into() },
        );
        assert_eq!(decode(&encode(&empty)), Some(empty));
        assert_eq!(decode(b"garbage"), None);
        assert_eq!(decode(b""), None);
    }

    #[test]
    fn a_large_event_loses_detail_before_it_is_lost() {
        let mut event = full(1);
        let whole = encode(&event);
        assert_eq!(encode_within(&event, whole.len()), Some((whole.clone(), false)));
        event.contexts.insert("large".into(), "x".repeat(10_000));
        let (bytes, is_thinned) = encode_within(&event, whole.len()).unwrap();
        assert!(is_thinned && bytes.len() <= whole.len());
        let kept = decode(&bytes).unwrap();
        assert_eq!((kept.message.as_str(), kept.tags.len(), kept.contexts.len()), ("boom", 1, 0));
        assert_eq!(encode_within(&event, 10), None);
    }
}
