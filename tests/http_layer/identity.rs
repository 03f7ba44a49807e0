//! Which requests are traced, and under which identifier.

use std::time::Duration;

use axum::Router;
use flame_on::testing::TestAgent;
use flame_on::{Capture, Decision, EventHandler, FlameOnLayer, StartEvent};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::support::{Answer, Script, agent, all, ends, get, grpc, identifiers, ok, only};

async fn empty<B>(_: Request<B>) -> Answer {
    ok(Script::empty())
}

/// Answers with the status that the path asks for.
async fn status<B>(request: Request<B>) -> Answer {
    let status = request.uri().path().trim_start_matches('/').parse::<u16>().unwrap();
    Ok(Response::builder().status(status).body(Script::empty()).unwrap())
}

/// Sends these requests; the identifiers that they are traced under, sorted.
async fn identifiers_of(agent: &TestAgent, layer: &FlameOnLayer, requests: &[&str]) -> Vec<String> {
    for path in requests {
        layer.layer(service_fn(empty)).oneshot(get(path)).await.unwrap();
    }
    identifiers(agent).await
}

#[tokio::test]
async fn without_a_route_the_identifier_is_method_and_status_class() {
    let agent = agent();
    for path in ["/200?token=secret", "/302", "/404", "/503"] {
        agent.layer().layer(service_fn(status)).oneshot(get(path)).await.unwrap();
    }
    assert_eq!(identifiers(&agent).await, ["GET 2xx", "GET 3xx", "GET 4xx", "GET 5xx"]);
    agent.layer().layer(service_fn(status)).oneshot(get("/404")).await.unwrap();
    let trace = only(&agent).await;
    assert_eq!(trace.event_name(), "axum.request");
    assert!(trace.paths().all(|(path, _)| path.starts_with("axum.request GET 4xx")), "{}", trace.collapsed());
}

#[tokio::test]
async fn a_service_that_fails_is_method_and_error() {
    let agent = agent();
    let failing = service_fn(|_: Request<_>| async { Err::<Response<Script>, _>(std::io::Error::other("down")) });
    let error = agent.layer().layer(failing).oneshot(get("/x")).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    assert_eq!(only(&agent).await.identifier(), "GET error");
    assert_eq!(ends(&agent), (1, 0, 0));
}

fn deduplicating() -> TestAgent {
    TestAgent::with(|config| config.dedupe_enabled(true)).unwrap()
}

#[tokio::test]
async fn dedupe_does_not_apply_to_method_and_status_class() {
    let agent = deduplicating();
    assert_eq!(identifiers_of(&agent, &agent.layer(), &["/a", "/b", "/c"]).await, ["GET 2xx"; 3]);
}

#[tokio::test]
async fn set_identifier_names_the_request_once_and_brings_dedupe_back() {
    let agent = deduplicating();
    let naming = service_fn(|_: Request<_>| async {
        assert!(flame_on::set_identifier("GET /from-the-handler"));
        assert!(!flame_on::set_identifier("another"));
        ok(Script::empty())
    });
    for _ in 0..2 {
        agent.layer().layer(naming).oneshot(get("/x")).await.unwrap();
    }
    assert_eq!(only(&agent).await.identifier(), "GET /from-the-handler");
    assert_eq!(agent.stats().deduplicated, 1);
}

#[tokio::test]
async fn a_long_identifier_is_cut() {
    let agent = agent();
    let naming = service_fn(|_: Request<_>| async {
        flame_on::set_identifier("x".repeat(5_000));
        ok(Script::empty())
    });
    agent.layer().layer(naming).oneshot(get("/x")).await.unwrap();
    assert_eq!(only(&agent).await.identifier().len(), 1_024);
}

#[test]
fn set_identifier_outside_of_a_trace_is_refused_and_converts_nothing() {
    struct Unwanted;
    impl From<Unwanted> for String {
        fn from(_: Unwanted) -> Self {
            panic!("converted")
        }
    }
    assert!(!flame_on::set_identifier(Unwanted));
}

#[tokio::test]
async fn set_identifier_works_in_the_body_phase_too() {
    let agent = agent();
    let late = service_fn(|_: Request<_>| async {
        let stream = futures::stream::once(async {
            flame_on::set_identifier("GET /late");
            Ok::<_, std::io::Error>("x")
        });
        Ok::<_, std::convert::Infallible>(Response::new(axum::body::Body::from_stream(stream)))
    });
    let response = agent.layer().layer(late).oneshot(get("/x")).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(only(&agent).await.identifier(), "GET /late");
}

#[tokio::test]
async fn a_skipped_request_is_not_traced_even_if_it_is_forced() {
    let agent = agent();
    let layer = agent.layer().skip(|r| r.uri.path() == "/health").force(|_| true);
    assert_eq!(identifiers_of(&agent, &layer, &["/health", "/x", "/health"]).await, ["GET 2xx"]);
    assert_eq!(agent.stats().started, 1);
}

#[tokio::test]
async fn a_forced_request_is_traced_whatever_the_dice_say() {
    let agent = TestAgent::with(|config| config.sample_rate(0.0)).unwrap();
    let layer = agent.layer().force(|r| r.headers.contains_key("x-flame-on"));
    for n in 0..20 {
        let mut request = get("/x");
        if n % 2 == 0 {
            request.headers_mut().insert("x-flame-on", "1".parse().unwrap());
        }
        layer.layer(service_fn(empty)).oneshot(request).await.unwrap();
    }
    assert_eq!(all(&agent).await.len(), 10);
    assert_eq!(agent.stats().sampled_out, 10);
}

#[tokio::test]
async fn route_supplies_an_identifier_and_dedupe_applies() {
    let agent = deduplicating();
    let layer = agent.layer().route(|r| r.uri.path().starts_with("/files/").then(|| "/files/{*path}".to_owned()));
    let shown = identifiers_of(&agent, &layer, &["/files/a", "/other"]).await;
    assert_eq!(shown, ["GET /files/{*path}", "GET 2xx"]);
    assert_eq!(identifiers_of(&agent, &layer, &["/files/b", "/other"]).await, ["GET 2xx"]);
    assert_eq!(agent.stats().skipped_dedupe, 1);
}

#[tokio::test]
async fn the_matched_path_wins_over_route() {
    let agent = agent();
    let layer = agent.layer().route(|_| panic!("is not asked"));
    let app = Router::new().route("/users/{id}", axum::routing::get(|| async { "x" })).layer(layer);
    app.oneshot(Request::get("/users/7").body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(only(&agent).await.identifier(), "GET /users/{id}");
    assert_eq!(agent.stats().handler_panics, 0);
}

#[tokio::test]
async fn rules_that_panic_count_as_not_set() {
    let agent = agent();
    let layer = agent.layer().skip(|_| panic!("skip")).force(|_| panic!("force")).route(|_| panic!("route"));
    assert_eq!(identifiers_of(&agent, &layer, &["/x"]).await, ["GET 2xx"]);
    assert_eq!(agent.stats().handler_panics, 3);
}

#[tokio::test]
async fn rules_see_the_request_without_its_body() {
    let agent = agent();
    let layer = agent.layer().skip(|r| {
        assert_eq!((r.method.as_str(), r.uri.query()), ("GET", Some("q=1")));
        assert_eq!(r.headers["x-tenant"], "a");
        assert_eq!(r.extensions.get::<u8>(), Some(&7));
        false
    });
    let mut request = get("/x?q=1");
    request.headers_mut().insert("x-tenant", "a".parse().unwrap());
    request.extensions_mut().insert(7_u8);
    layer.layer(service_fn(empty)).oneshot(request).await.unwrap();
    assert_eq!((all(&agent).await.len(), agent.stats().handler_panics), (1, 0));
}

#[tokio::test]
async fn a_grpc_request_is_known_by_its_method() {
    let agent = agent();
    agent.layer().layer(service_fn(empty)).oneshot(grpc("/hello.Greeter/SayHello")).await.unwrap();
    let trace = only(&agent).await;
    assert_eq!((trace.event_name(), trace.identifier()), ("grpc.request", "hello.Greeter/SayHello"));
}

#[tokio::test]
async fn what_only_looks_like_grpc_never_shows_its_path() {
    let agent = agent();
    let layer = agent.layer();
    layer.layer(service_fn(empty)).oneshot(grpc("/users/17/keys")).await.unwrap();
    layer.layer(service_fn(empty)).oneshot(grpc("/users/17")).await.unwrap();
    let mut not_a_post = grpc("/hello.Greeter/SayHello");
    *not_a_post.method_mut() = http::Method::GET;
    layer.layer(service_fn(empty)).oneshot(not_a_post).await.unwrap();
    assert_eq!(identifiers(&agent).await, ["GET 2xx", "POST 2xx", "POST 2xx"]);
}

#[tokio::test]
async fn the_hosts_handler_decides_before_the_default_one() {
    struct Own;
    impl EventHandler for Own {
        fn handle(&self, event: &StartEvent<'_>) -> Decision {
            assert_eq!(event.name(), "axum.request.start");
            match event.str("method") {
                Some("GET") => Capture::new("shop.page", "page").threshold(Duration::ZERO).into(),
                _ => Decision::Skip,
            }
        }
    }
    let agent = TestAgent::with(|config| config.handler(Own)).unwrap();
    let mut deletion = get("/x");
    *deletion.method_mut() = http::Method::DELETE;
    agent.layer().layer(service_fn(empty)).oneshot(deletion).await.unwrap();
    agent.layer().layer(service_fn(status)).oneshot(get("/404")).await.unwrap();
    let trace = only(&agent).await;
    assert_eq!((trace.event_name(), trace.identifier()), ("shop.page", "page"), "not replaced by the status class");
    assert_eq!(agent.stats().skipped_by_handler, 1);
}

#[tokio::test]
async fn rates_changed_while_it_runs_apply_and_a_stopped_agent_leaves_a_pass_through() {
    let agent = agent();
    let layer = agent.layer().force(|_| panic!("is not asked once the agent is off"));
    agent.set_sample_rate(0.0).unwrap();
    let quiet = agent.layer();
    assert_eq!(identifiers_of(&agent, &quiet, &["/x"]).await.len(), 0);
    agent.set_sample_rate(1.0).unwrap();
    assert_eq!(identifiers_of(&agent, &quiet, &["/x"]).await.len(), 1);
    let handle = flame_on::FlameOn::clone(&agent);
    agent.shutdown().await;
    let response = layer.layer(service_fn(status)).oneshot(get("/404")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!((handle.stats().started, handle.stats().handler_panics), (1, 0));
}

#[tokio::test]
async fn a_disabled_agents_layer_passes_everything_through() {
    let layer = flame_on::FlameOn::disabled().layer().force(|_| true);
    let response = layer.layer(service_fn(status)).oneshot(get("/503")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
