//! `traces.json`: a stream of events, and the own time of each path.

use flame_on::__vectors::{self, Event, Sample};
use serde::Deserialize;

use super::difference;

#[derive(Deserialize)]
pub(crate) struct Case {
    root_label: String,
    events: Vec<Step>,
    expected: Vec<Sample>,
    total_us: u64,
}

/// `[kind, …, time]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Switch(Switch, u64),
    Call(CallKind, Option<String>, u64),
    Reply(ReplyKind, u32, u64),
    Receive(ReceiveKind, u32, String, u64),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Switch {
    Out,
    In,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CallKind {
    Call,
    ReturnTo,
}

#[derive(Deserialize)]
enum ReplyKind {
    #[serde(rename = "xreply")]
    Reply,
}

#[derive(Deserialize)]
enum ReceiveKind {
    #[serde(rename = "xcall")]
    Receive,
}

pub(crate) fn check(case: &Case) -> Result<(), String> {
    let events = case.events.iter().map(Step::event).collect::<Result<Vec<_>, _>>()?;
    let mut got = __vectors::fold(&case.root_label, &events);
    let mut expected = case.expected.clone();
    got.sort();
    expected.sort();
    difference(&expected, &got)?;
    difference(&[case.total_us], &[got.iter().map(|(_, micros)| micros).sum()])
}

impl Step {
    fn event(&self) -> Result<(Event<'_>, u64), String> {
        Ok(match self {
            Self::Switch(Switch::Out, at) => (Event::Out, *at),
            Self::Switch(Switch::In, at) => (Event::In, *at),
            Self::Call(CallKind::Call, Some(frame), at) => (Event::Call(frame), *at),
            Self::Call(CallKind::Call, None, at) => return Err(format!("    a call of nothing at {at}")),
            Self::Call(CallKind::ReturnTo, frame, at) => (Event::ReturnTo(frame.as_deref()), *at),
            Self::Receive(ReceiveKind::Receive, id, label, at) => (Event::Receive { id: *id, label }, *at),
            Self::Reply(ReplyKind::Reply, id, at) => (Event::Send { id: *id }, *at),
        })
    }
}
