//! Facts about axum that the layer has to live with: where the matched path is known and where not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use flame_on::FlameOn;
use flame_on::testing::TestAgent;
use tower::{Layer as _, ServiceExt as _};

async fn identifier(build: impl FnOnce(&FlameOn) -> Router, path: &str) -> String {
    let agent = TestAgent::start().unwrap();
    drop(build(&agent).oneshot(http::Request::get(path).body(Body::empty()).unwrap()).await.unwrap());
    let traces = agent.traces().await;
    assert!(traces.len() <= 1);
    for trace in &traces {
        assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration());
    }
    traces.first().map_or("none".into(), |trace| trace.identifier().to_owned())
}

fn inner() -> Router {
    Router::new().route("/{id}", get(|| async { "x" }))
}

#[tokio::test]
async fn a_nested_router_knows_the_whole_path() {
    assert_eq!(identifier(|a| Router::new().nest("/a", inner()).layer(a.layer()), "/a/1").await, "GET /a/{id}");
    assert_eq!(identifier(|a| Router::new().nest("/a", inner().layer(a.layer())), "/a/1").await, "GET /a/{id}");
}

#[tokio::test]
async fn a_nested_service_knows_the_path_only_inside() {
    let outside = |a: &FlameOn| Router::new().nest_service("/a", inner()).layer(a.layer());
    assert_eq!(identifier(outside, "/a/1").await, "GET 2xx");
    let inside = |a: &FlameOn| Router::new().nest_service("/a", inner().layer(a.layer()));
    assert_eq!(identifier(inside, "/a/1").await, "GET /a/{id}");
}

#[tokio::test]
async fn a_fallback_has_no_route() {
    assert_eq!(identifier(|a| inner().layer(a.layer()), "/no/such").await, "GET 4xx");
    let own = |a: &FlameOn| inner().fallback(|| async { "mine" }).layer(a.layer());
    assert_eq!(identifier(own, "/no/such").await, "GET 2xx");
    let nested = |a: &FlameOn| Router::new().nest("/a", inner().fallback(|| async { "mine" })).layer(a.layer());
    assert_eq!(identifier(nested, "/a/no/such").await, "GET 2xx");
}

#[tokio::test]
async fn a_wrong_method_still_has_its_route() {
    let app = |a: &FlameOn| Router::new().route("/{id}", axum::routing::post(|| async { "x" })).layer(a.layer());
    assert_eq!(identifier(app, "/1").await, "GET /{id}");
}

#[tokio::test]
async fn a_route_layer_sees_matched_requests_alone() {
    assert_eq!(identifier(|a| inner().route_layer(a.layer()), "/1").await, "GET /{id}");
    assert_eq!(identifier(|a| inner().route_layer(a.layer()), "/no/such").await, "none");
}

#[tokio::test]
async fn a_route_added_after_the_layer_is_not_traced() {
    assert_eq!(identifier(|a| Router::new().layer(a.layer()).merge(inner()), "/1").await, "none");
}

#[tokio::test]
async fn a_layer_around_the_whole_router_knows_no_route() {
    let around = |a: &FlameOn| Router::new().fallback_service(a.layer().layer(inner()));
    assert_eq!(identifier(around, "/1").await, "GET 2xx");
    let with_rule =
        |a: &FlameOn| Router::new().fallback_service(a.layer().route(|_| Some("/{id}".into())).layer(inner()));
    assert_eq!(identifier(with_rule, "/1").await, "GET /{id}");
}
