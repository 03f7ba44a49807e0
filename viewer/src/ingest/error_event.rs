//! An error event as it came in becomes one that may be kept.

use bytes::Bytes;
use prost::Message as _;
use prost_types::Timestamp;

use super::check::{Refusal, id, name};
use super::{fields, gzip};
use crate::hash;
use crate::proto::flame_on::{ErrorEvent, Exception, StackFrame};
use crate::store::{ErrorRow, NewError};

/// Bytes of an error event at most. Decoded it takes up to some 80 times as much, and one is decoded at a time.
pub(crate) const MAX_EVENT: usize = 2 << 20;
/// Fields of an event at most.
const MAX_FIELDS: usize = 1 << 16;

/// Reads the bytes of an `ErrorEvent`.
pub(crate) fn from_message(bytes: Bytes, now_us: i64) -> Result<NewError, Refusal> {
    let event = decode(bytes.clone())?;
    let (title, culprit) = (title(&event), culprit(&event));
    let trace_id = if event.trace_id.is_empty() { String::new() } else { id("trace_id", &event.trace_id)? };
    let row = ErrorRow {
        event_id: id("event_id", &event.event_id)?,
        occurred_us: event.occurred_at.as_ref().and_then(micros).unwrap_or(now_us),
        group: group(&event, &culprit),
        title: name(&title),
        culprit: name(&culprit),
        severity: name(&event.severity),
        is_handled: event.handled,
        service: name(&event.service),
        route: name(&event.route),
        trace_id,
    };
    Ok(NewError {
        row,
        received_us: now_us,
        environment: name(&event.environment),
        release: name(&event.release),
        event_gz: gzip::compress(&bytes).map_err(Refusal::NotGzip)?,
    })
}

fn decode(bytes: Bytes) -> Result<ErrorEvent, Refusal> {
    if bytes.len() > MAX_EVENT || fields::count(bytes.clone(), MAX_FIELDS)? > MAX_FIELDS {
        return Err(Refusal::TooLarge { limit: MAX_EVENT });
    }
    Ok(ErrorEvent::decode(bytes)?)
}

/// The event of a compressed one that was checked when it came in.
pub(crate) fn stored_event(event_gz: &[u8]) -> Result<ErrorEvent, Refusal> {
    decode(Bytes::from(gzip::expand(event_gz, MAX_EVENT)?))
}

/// µs since 1970; `None` for what is outside of what can be shown.
pub(crate) fn micros(time: &Timestamp) -> Option<i64> {
    let micros = time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos) / 1_000)?;
    (micros > 0).then_some(micros)
}

fn title(event: &ErrorEvent) -> String {
    match event.exceptions.first() {
        Some(Exception { r#type, value, .. }) if !value.is_empty() => format!("{type}: {value}"),
        Some(exception) if !exception.r#type.is_empty() => exception.r#type.clone(),
        _ => event.message.clone(),
    }
}

/// The first frame of the user's own code, else the first of all.
fn culprit(event: &ErrorEvent) -> String {
    let frames = event.exceptions.iter().filter_map(|exception| exception.stack_trace.as_ref());
    let mut frames = frames.map(|trace| trace.frames.as_slice()).filter(|frames| !frames.is_empty());
    let Some(frames) = frames.next() else { return String::new() };
    let top = frames.iter().find(|frame| frame.in_app).or_else(|| frames.first());
    top.map(place).unwrap_or_default()
}

fn place(frame: &StackFrame) -> String {
    match (frame.module.is_empty(), frame.function.is_empty()) {
        (false, false) if !frame.function.contains("::") => format!("{}::{}", frame.module, frame.function),
        (_, false) => frame.function.clone(),
        (false, true) => frame.module.clone(),
        (true, true) => frame.file.clone(),
    }
}

/// The fingerprint; without one, type and top frame; without an exception, the message.
fn group(event: &ErrorEvent, culprit: &str) -> String {
    let hash = match event.exceptions.first() {
        _ if !event.fingerprint.is_empty() => hash::of(&event.fingerprint),
        Some(exception) => hash::of(["exception", exception.r#type.as_str(), culprit]),
        None => hash::of(["message", event.message.as_str()]),
    };
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::proto::flame_on::StackTrace;

    fn event() -> ErrorEvent {
        let frame = |function: &str, in_app| StackFrame { function: function.into(), in_app, ..Default::default() };
        ErrorEvent {
            event_id: "AB-1".into(),
            message: "it broke".into(),
            exceptions: vec![Exception {
                r#type: "io::Error".into(),
                value: "broken pipe 7".into(),
                stack_trace: Some(StackTrace { frames: vec![frame("std::write", false), frame("shop::send", true)] }),
            }],
            ..Default::default()
        }
    }

    fn kept(event: &ErrorEvent) -> NewError {
        from_message(event.encode_to_vec().into(), 7).unwrap()
    }

    #[test]
    fn the_top_frame_of_the_users_code_names_it() {
        let row = kept(&event()).row;
        assert_eq!((row.title.as_str(), row.culprit.as_str()), ("io::Error: broken pipe 7", "shop::send"));
        assert_eq!((row.event_id.as_str(), row.occurred_us), ("ab-1", 7));
    }

    #[test]
    fn errors_of_one_type_and_place_are_a_group_whatever_they_say() {
        let mut other = event();
        other.exceptions[0].value = "broken pipe 8".into();
        assert_eq!(kept(&event()).row.group, kept(&other).row.group);
        other.exceptions[0].r#type = "fmt::Error".into();
        assert_ne!(kept(&event()).row.group, kept(&other).row.group);
        other.fingerprint = vec!["mine".into()];
        let same = ErrorEvent { fingerprint: vec!["mine".into()], ..event() };
        assert_eq!(kept(&other).row.group, kept(&same).row.group);
    }

    #[test]
    fn an_event_without_an_id_is_refused_and_so_is_half_of_one() {
        let bytes = Bytes::from(event().encode_to_vec());
        assert!(from_message(bytes.slice(..bytes.len() - 1), 7).is_err());
        assert!(matches!(from_message(Bytes::new(), 7), Err(Refusal::BadId { .. })));
        assert!(matches!(from_message(vec![0; MAX_EVENT + 1].into(), 7), Err(Refusal::TooLarge { .. })));
    }
}
