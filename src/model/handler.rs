//! Which start events are known by default, and how handlers are asked.

use std::sync::Arc;
use std::time::Duration;

use super::event::{Capture, Decision, EventHandler, StartEvent, base_name};

#[cfg(test)]
mod tests;

/// The threshold of an event that is not in the table. (The original's.)
pub(crate) const OTHER_THRESHOLD: Duration = Duration::from_millis(100);

/// The handler that is asked last; knows the events of this table and passes on all others, which then are skipped.
///
/// | event | metadata | event name | identifier | threshold |
/// |---|---|---|---|---|
/// | `axum.request` | `method`, `route` (the matched pattern) | `axum.request` | `METHOD route` | 500 ms |
/// | `tonic.request` | `path` (`/package.Service/Method`) | `grpc.request` | `package.Service/Method` | 500 ms |
/// | `apalis.job` | `job_type` | `apalis.job` | job type | 30,000 ms |
/// | `async_graphql.operation` | `operation` (may be null or empty) | `graphql.operation` | operation or `anonymous` | 1,000 ms |
/// | `phoenix.router_dispatch` | `method`, `route`, else `path` | `phoenix.request` | `METHOD route` | 500 ms |
/// | `oban.job` | `worker` | `oban.job` | worker | 30,000 ms |
/// | `phoenix.live_view.handle_event` | `view`, `event` | `live_view.event` | `View.event` | 200 ms |
/// | `phoenix.live_component.handle_event` | `component`, `event` | `live_component.event` | `Component.event` | 200 ms |
/// | `absinthe.execute.operation` | `operation` (may be null or empty) | `graphql.operation` | operation or `anonymous` | 1,000 ms |
///
/// A trailing `.start` of the event's name is ignored. Metadata are strings; an event that lacks one of them, or has
/// another type there, is skipped. An HTTP request without a `route` is captured under its `METHOD` alone, and
/// deduplication does not apply to it, because that identifier stands for many endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefaultHandler;

impl EventHandler for DefaultHandler {
    fn handle(&self, event: &StartEvent<'_>) -> Decision {
        match known(event.name()) {
            Some(known) => (known.capture)(known.event_name, event).map_or(Decision::Skip, Decision::Capture),
            None => Decision::Next,
        }
    }
}

/// Asks the handlers in their order and [`DefaultHandler`] last, until one has decided: never [`Decision::Next`].
/// A panic in a handler is the caller's to catch.
pub(crate) fn decide(handlers: &[Arc<dyn EventHandler>], event: &StartEvent<'_>) -> Decision {
    let own = handlers.iter().map(|handler| handler.handle(event)).find(|decision| *decision != Decision::Next);
    match own.unwrap_or_else(|| DefaultHandler.handle(event)) {
        Decision::Next => Decision::Skip,
        decision => decision,
    }
}

/// The table's threshold for an event; `None` for one that is not in it, see [`OTHER_THRESHOLD`].
pub(crate) fn default_threshold(name: &str) -> Option<Duration> {
    known(name).map(|known| known.threshold)
}

/// The name of an event in the table, without `.start`; `None` for one that is not in it.
pub(crate) fn known_name(name: &str) -> Option<&'static str> {
    known(name).map(|known| known.event)
}

/// One row of the table.
struct Known {
    event: &'static str,
    event_name: &'static str,
    threshold: Duration,
    /// Makes the capture under the row's `event_name`; `None` if the metadata do not have what it takes.
    capture: fn(&'static str, &StartEvent<'_>) -> Option<Capture>,
}

const REQUEST: Duration = Duration::from_millis(500);
const JOB: Duration = Duration::from_millis(30_000);
const UI_EVENT: Duration = Duration::from_millis(200);
const OPERATION: Duration = Duration::from_millis(1_000);

#[rustfmt::skip]
const KNOWN: [Known; 9] = [
    Known { event: "axum.request", event_name: "axum.request", threshold: REQUEST, capture: http_request },
    Known { event: "tonic.request", event_name: "grpc.request", threshold: REQUEST, capture: grpc_request },
    Known { event: "apalis.job", event_name: "apalis.job", threshold: JOB, capture: apalis_job },
    Known { event: "async_graphql.operation", event_name: "graphql.operation", threshold: OPERATION, capture: operation },
    Known { event: "phoenix.router_dispatch", event_name: "phoenix.request", threshold: REQUEST, capture: router_dispatch },
    Known { event: "oban.job", event_name: "oban.job", threshold: JOB, capture: oban_job },
    Known { event: "phoenix.live_view.handle_event", event_name: "live_view.event", threshold: UI_EVENT, capture: live_view },
    Known { event: "phoenix.live_component.handle_event", event_name: "live_component.event", threshold: UI_EVENT, capture: live_component },
    Known { event: "absinthe.execute.operation", event_name: "graphql.operation", threshold: OPERATION, capture: operation },
];

fn known(name: &str) -> Option<&'static Known> {
    let name = base_name(name);
    KNOWN.iter().find(|known| known.event == name)
}

fn http_request(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    let method = event.str("method")?;
    Some(match event.str("route") {
        Some(route) => Capture::new(name, format!("{method} {route}")),
        None => Capture::new(name, method).without_dedupe(),
    })
}

fn grpc_request(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    let path = event.str("path")?;
    Some(Capture::new(name, path.strip_prefix('/').unwrap_or(path)))
}

fn apalis_job(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    Some(Capture::new(name, event.str("job_type")?))
}

fn oban_job(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    Some(Capture::new(name, event.str("worker")?))
}

fn router_dispatch(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    let method = event.str("method")?;
    let route = event.str("route").or_else(|| event.str("path"))?;
    Some(Capture::new(name, format!("{method} {route}")))
}

fn live_view(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    Some(Capture::new(name, format!("{}.{}", event.str("view")?, event.str("event")?)))
}

fn live_component(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    Some(Capture::new(name, format!("{}.{}", event.str("component")?, event.str("event")?)))
}

fn operation(name: &'static str, event: &StartEvent<'_>) -> Option<Capture> {
    let operation = event.get("operation")?;
    let named = if operation.is_null() { "" } else { operation.as_str()? };
    Some(Capture::new(name, if named.is_empty() { "anonymous" } else { named }))
}
