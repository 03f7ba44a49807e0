//! handler.json: what the default handler makes of an event, and the default thresholds.
//!
//! The original hands its handler nested terms, ours takes flat strings. By rule: what the original prints with
//! `inspect` (worker, view, component) is the string that the term prints as, but a string stays itself (the original
//! puts it in quotes); what it interpolates (method, event) is the string of the term, with nil as the empty string;
//! a route is `phoenix_route`, else the first element of a `plug_route` pair; an operation is the name of the
//! document in the options, null without one, and missing without options.

use std::path::Path;
use std::time::Duration;

use flame_on::__vectors_labels::{Term, default_threshold, label_of_term};
use flame_on::{Capture, Decision, DefaultHandler, EventHandler, Metadata, StartEvent, Value as Datum};
use serde_json::Value;

const FILE: &str = "handler.json";

/// One line for each case that fails.
pub(crate) fn run(dir: &Path) -> Vec<String> {
    let vectors = super::terms::read(dir, FILE);
    let (cases, thresholds) = match vectors.as_ref().map(|all| (all["cases"].as_array(), all["thresholds"].as_array()))
    {
        Ok((Some(cases), Some(thresholds))) if !cases.is_empty() && !thresholds.is_empty() => (cases, thresholds),
        Ok(_) => return vec![format!("{FILE}: no cases or no thresholds")],
        Err(failure) => return vec![failure.clone()],
    };
    cases.iter().filter_map(check_case).chain(thresholds.iter().filter_map(check_threshold)).collect()
}

fn check_case(case: &Value) -> Option<String> {
    let (event, metadata) = (event_name(&case["event"]), &case["metadata"]);
    let decision = DefaultHandler.handle(&StartEvent::new(&event, translate(&event, metadata)));
    let expected = expected(case, metadata);
    // An event that the default handler passes on is skipped as well: it is the last one.
    let got = match decision {
        Decision::Capture(capture) => Some(capture),
        _ => None,
    };
    (got != expected).then(|| format!("{FILE} {} {}: expected {expected:?} got {got:?}", case["id"], case["name"]))
}

fn expected(case: &Value, metadata: &Value) -> Option<Capture> {
    if case["result"] != "capture" {
        return None;
    }
    let worker = field(metadata, "job").and_then(|job| field(job, "worker")).and_then(as_str);
    let identifier = worker.or(case["event_identifier"].as_str()).unwrap_or("no identifier in the vector");
    Some(Capture::new(case["event_name"].as_str().unwrap_or_default().to_owned(), identifier))
}

fn check_threshold(case: &Value) -> Option<String> {
    let event = event_name(&case["event"]);
    let expected = case["default_threshold_ms"].as_u64().map(Duration::from_millis);
    let got = default_threshold(&event);
    (Some(got) != expected).then(|| format!("{FILE} threshold of {event:?}: expected {expected:?} got {got:?}"))
}

fn event_name(atoms: &Value) -> String {
    let names: Vec<_> = atoms.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(".")
}

fn translate<'a>(event: &str, metadata: &'a Value) -> Metadata<'a> {
    let pairs = match event.trim_end_matches(".start") {
        "phoenix.router_dispatch" => field(metadata, "conn").map(dispatch).unwrap_or_default(),
        "oban.job" => vec![("worker", field(metadata, "job").and_then(|job| inspected(job, "worker")))],
        "phoenix.live_view.handle_event" => vec![
            ("view", field(metadata, "socket").and_then(|socket| inspected(socket, "view"))),
            ("event", interpolated(metadata, "event")),
        ],
        "phoenix.live_component.handle_event" => {
            vec![("component", inspected(metadata, "component")), ("event", interpolated(metadata, "event"))]
        }
        "absinthe.execute.operation" => vec![("operation", field(metadata, "options").map(operation))],
        _ => Vec::new(),
    };
    Metadata::new(pairs.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

fn dispatch(conn: &Value) -> Vec<(&'static str, Option<Datum<'_>>)> {
    let private = field(conn, "private");
    let phoenix = private.and_then(|private| field(private, "phoenix_route")).and_then(as_str);
    let plug = private.and_then(|private| field(private, "plug_route")).and_then(pair).and_then(as_str);
    vec![
        ("method", interpolated(conn, "method")),
        ("route", phoenix.or(plug).map(Datum::from)),
        ("path", interpolated(conn, "request_path")),
    ]
}

fn operation(options: &Value) -> Datum<'_> {
    field(options, "document").and_then(|document| field(document, "name")).and_then(as_str).into()
}

/// The first of the two elements of a pair.
fn pair(term: &Value) -> Option<&Value> {
    match term["v"].as_array()?.as_slice() {
        [first, _] if term["t"] == "tuple" => Some(first),
        _ => None,
    }
}

/// The value of a key in a map, a struct or a keyword list.
fn field<'a>(term: &'a Value, key: &str) -> Option<&'a Value> {
    let is_map = matches!(term["t"].as_str()?, "map" | "struct");
    let entries = term["v"].as_array().filter(|_| is_map || term["t"] == "list")?;
    entries
        .iter()
        .map(|entry| if is_map { entry } else { &entry["v"] })
        .find(|entry| entry[0]["v"] == key)
        .map(|e| &e[1])
}

fn as_str(term: &Value) -> Option<&str> {
    term["v"].as_str().filter(|_| term["t"] == "str")
}

fn interpolated<'a>(term: &'a Value, key: &str) -> Option<Datum<'a>> {
    let value = field(term, key)?;
    let text = value["v"].as_str().filter(|_| value["t"] == "str" || value["t"] == "atom")?;
    Some(if value["t"] == "atom" && text == "nil" { "".into() } else { text.into() })
}

fn inspected<'a>(term: &'a Value, key: &str) -> Option<Datum<'a>> {
    let value = field(term, key)?;
    match value["t"].as_str()? {
        "str" => as_str(value).map(Datum::from),
        "atom" => {
            let label = label_of_term(Some("p"), Term::Atom(value["v"].as_str()?.to_owned()));
            label.strip_prefix("CALL p ").map(|printed| printed.to_owned().into())
        }
        _ => None,
    }
}
