use super::*;
use crate::metadata;
use crate::model::event::{Metadata, Value};

fn default(name: &str, metadata: Metadata<'_>) -> Decision {
    DefaultHandler.handle(&StartEvent::new(name, metadata))
}

fn captured(event_name: &'static str, identifier: &str) -> Decision {
    Capture::new(event_name, identifier).into()
}

#[test]
fn every_event_of_the_table_has_its_name_identifier_and_threshold() {
    let request = || metadata! { "method" => "GET", "route" => "/users/{id}", "path" => "/users/7" };
    let row = |name: &str, metadata, event_name, identifier, ms| {
        assert_eq!(default(name, metadata), captured(event_name, identifier), "{name}");
        assert_eq!(default_threshold(name), Some(Duration::from_millis(ms)), "{name}");
    };
    row("axum.request", request(), "axum.request", "GET /users/{id}", 500);
    row("tonic.request", metadata! { "path" => "/shop.Cart/Add" }, "grpc.request", "shop.Cart/Add", 500);
    row("apalis.job", metadata! { "job_type" => "Email" }, "apalis.job", "Email", 30_000);
    row("async_graphql.operation", metadata! { "operation" => "Cart" }, "graphql.operation", "Cart", 1_000);
    row("phoenix.router_dispatch", request(), "phoenix.request", "GET /users/{id}", 500);
    row("oban.job", metadata! { "worker" => "Email" }, "oban.job", "Email", 30_000);
    let ui = || metadata! { "view" => "Cart", "component" => "Row", "event" => "save" };
    row("phoenix.live_view.handle_event", ui(), "live_view.event", "Cart.save", 200);
    row("phoenix.live_component.handle_event", ui(), "live_component.event", "Row.save", 200);
    row("absinthe.execute.operation", metadata! { "operation" => "Cart" }, "graphql.operation", "Cart", 1_000);
}

#[test]
fn a_trailing_start_makes_no_difference_and_other_endings_do() {
    let metadata = || metadata! { "worker" => "Email" };
    assert_eq!(default("oban.job.start", metadata()), captured("oban.job", "Email"));
    assert_eq!(default_threshold("oban.job.start"), Some(JOB));
    assert_eq!(default("oban.job.stop", metadata()), Decision::Next);
    assert_eq!(default_threshold("oban.job.stop"), None);
    assert_eq!(default_threshold(""), None);
}

#[test]
fn a_request_without_a_route_is_its_method_and_not_deduplicated() {
    let expected = Decision::from(Capture::new("axum.request", "GET").without_dedupe());
    assert_eq!(default("axum.request", metadata! { "method" => "GET", "path" => "/raw/7" }), expected);
    assert_eq!(default("axum.request", metadata! { "method" => "GET", "route" => None::<&str> }), expected);
    assert_ne!(expected, captured("axum.request", "GET"));
}

#[test]
fn a_dispatch_without_a_route_is_its_path() {
    let metadata = metadata! { "method" => "GET", "path" => "/raw" };
    assert_eq!(default("phoenix.router_dispatch", metadata), captured("phoenix.request", "GET /raw"));
}

#[test]
fn an_operation_without_a_name_is_anonymous() {
    for nameless in [Value::Null, "".into()] {
        let metadata = Metadata::default().with("operation", nameless);
        assert_eq!(default("async_graphql.operation", metadata), captured("graphql.operation", "anonymous"));
    }
}

#[test]
fn metadata_that_lacks_something_or_has_another_type_there_is_skipped() {
    for known in KNOWN {
        assert_eq!(default(known.event, Metadata::default()), Decision::Skip, "{}", known.event);
        let keys = ["method", "route", "path", "job_type", "worker", "view", "component", "event", "operation"];
        let numbers = Metadata::new(keys.map(|key| (key, Value::Int(1))));
        assert_eq!(default(known.event, numbers), Decision::Skip, "{}", known.event);
        assert_eq!(default(known.event, Metadata::typed(&"GET")), Decision::Skip, "{}", known.event);
    }
    assert_eq!(default("phoenix.router_dispatch", metadata! { "method" => "GET" }), Decision::Skip);
    assert_eq!(default("phoenix.live_view.handle_event", metadata! { "view" => "Cart" }), Decision::Skip);
}

fn answering(decision: Decision) -> Arc<dyn EventHandler> {
    Arc::new(move |_: &StartEvent<'_>| decision.clone())
}

#[test]
fn the_first_handler_that_decides_wins() {
    let event = StartEvent::new("oban.job", metadata! { "worker" => "Email" });
    let unasked: Arc<dyn EventHandler> = Arc::new(|_: &StartEvent<'_>| unreachable!("decided before"));
    let own = captured("mine", "x");
    assert_eq!(decide(&[answering(Decision::Next), answering(own.clone()), unasked.clone()], &event), own);
    assert_eq!(decide(&[answering(Decision::Skip), unasked], &event), Decision::Skip);
}

#[test]
fn the_default_handler_is_asked_last_and_skips_what_nobody_knows() {
    let known = StartEvent::new("oban.job", metadata! { "worker" => "Email" });
    assert_eq!(decide(&[answering(Decision::Next)], &known), captured("oban.job", "Email"));
    assert_eq!(decide(&[], &known), captured("oban.job", "Email"));
    assert_eq!(decide(&[answering(Decision::Next)], &StartEvent::new("other", Metadata::default())), Decision::Skip);
}
