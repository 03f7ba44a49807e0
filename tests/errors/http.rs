use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::routing::get;
use flame_on::testing::TestAgent;
use flame_on::{ErrorEvent, User};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

fn app(agent: &TestAgent) -> Router {
    let fails = || async {
        flame_on::set_tag("inside", 1);
        StatusCode::BAD_GATEWAY
    };
    Router::new()
        .route("/orders/{id}", get(fails))
        .route("/fine", get(|| async { "fine" }))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }))
        .layer(axum::middleware::from_fn(|request: axum::extract::Request, next: axum::middleware::Next| async move {
            flame_on::set_user(User::id("7"));
            next.run(request).await
        }))
        .layer(agent.layer())
}

fn request(path: &str) -> Request<Body> {
    let mut request = Request::get(path)
        .header("host", "shop.example")
        .header("authorization", "Basic dXNlcjpwYXNz")
        .header("cookie", "session=secret")
        .header("x-api-key", "secret")
        .header("referer", "https://shop.example/?token=secret")
        .header("accept", "text/html")
        .extension(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4711))))
        .body(Body::empty())
        .unwrap();
    let mut marked = HeaderValue::from_static("secret");
    marked.set_sensitive(true);
    request.headers_mut().insert("x-marked", marked);
    request
}

async fn only(agent: &TestAgent) -> ErrorEvent {
    let mut events = agent.errors().await;
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

#[tokio::test]
async fn a_5xx_is_told_with_its_request_and_the_user_and_goes_on_unchanged() {
    let agent = TestAgent::start().unwrap();
    let response = app(&agent).oneshot(request("/orders/7?page=2&token=secret")).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    drop(response.into_body().collect().await);
    let event = only(&agent).await;
    assert_eq!((event.message.as_str(), event.handled), ("502 Bad Gateway", false));
    assert_eq!((event.route.as_str(), event.contexts["status"].as_str()), ("GET /orders/{id}", "502"));
    assert_eq!((event.user, event.tags["inside"].as_str()), (Some(User::id("7")), "1"));
    assert_eq!(event.trace_id, Some(agent.traces().await[0].id()));
    let told = event.request.unwrap();
    assert_eq!((told.method.as_str(), told.route.as_str()), ("GET", "/orders/{id}"));
    assert_eq!(told.url, "//shop.example/orders/7?page=2&token=[REDACTED]");
    assert_eq!(told.remote_addr, "10.0.0.1:4711");
    assert!(!format!("{:?}", told.headers).contains("secret"), "{:?}", told.headers);
    let header = |name: &str| told.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(header("accept"), Some("text/html"));
    for name in ["authorization", "cookie", "x-api-key", "x-marked"] {
        assert_eq!(header(name), Some("[REDACTED]"), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_the_servers_fault_is_not_told() {
    let agent = TestAgent::start().unwrap();
    for path in ["/fine", "/missing", "/nowhere"] {
        app(&agent).oneshot(request(path)).await.unwrap();
    }
    assert!(agent.errors().await.is_empty());
}

#[tokio::test]
async fn the_next_request_begins_with_an_empty_context() {
    let agent = TestAgent::start().unwrap();
    let app = Router::new()
        .route("/a", get(|| async { flame_on::set_user(User::id("a")) }))
        .route("/b", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(agent.layer());
    for path in ["/a", "/b"] {
        app.clone().oneshot(request(path)).await.unwrap();
    }
    assert_eq!(only(&agent).await.user, None);
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused: password=hunter2")
    }
}

#[tokio::test]
async fn the_error_of_a_service_is_told_and_goes_on_unchanged() {
    let agent = TestAgent::start().unwrap();
    let service = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(Refused) });
    let result = agent.layer().layer(service).oneshot(request("/x")).await;
    assert!(matches!(result, Err(Refused)));
    let event = only(&agent).await;
    assert_eq!(event.message, "refused: password=[REDACTED]");
    assert_eq!((event.exceptions.len(), event.exceptions[0].type_name.as_str()), (1, "errors::http::Refused"));
    assert_eq!(event.route, "GET");
}

#[tokio::test]
async fn of_a_boxed_error_the_chain_is_told() {
    let agent = TestAgent::start().unwrap();
    let fail = || {
        let error = "x".parse::<u8>().unwrap_err();
        Err::<Response<Body>, tower::BoxError>(Box::new(std::io::Error::other(error)))
    };
    let service = service_fn(move |_: Request<Body>| async move { fail() });
    assert!(agent.layer().layer(service).oneshot(request("/x")).await.is_err());
    let event = only(&agent).await;
    assert_eq!(event.exceptions[0].type_name, "std::io::error::Error");
}

#[tokio::test]
async fn an_error_in_the_body_has_the_context_of_its_request() {
    let agent = TestAgent::start().unwrap();
    let stream = futures::stream::once(async {
        flame_on::capture_message("in the body", flame_on::Severity::Error);
        Ok::<_, Infallible>("data")
    });
    let body = std::sync::Mutex::new(Some(Body::from_stream(stream)));
    let service = service_fn(move |_: Request<Body>| {
        flame_on::set_user(User::id("7"));
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let response = agent.layer().layer(service).oneshot(request("/x")).await.unwrap();
    response.into_body().collect().await.unwrap();
    let event = only(&agent).await;
    assert_eq!((event.user, event.request.unwrap().method.as_str()), (Some(User::id("7")), "GET"));
    assert_eq!(event.trace_id, Some(agent.traces().await[0].id()));
}

#[tokio::test]
async fn a_spawned_task_tells_the_request_too() {
    use flame_on::ErrorContextExt as _;
    let agent = TestAgent::start().unwrap();
    let app = Router::new()
        .route(
            "/a",
            get(|| async {
                let child = async { flame_on::capture_message("spawned", flame_on::Severity::Error) };
                tokio::spawn(child.with_error_context()).await.unwrap();
            }),
        )
        .layer(agent.layer());
    app.oneshot(request("/a?x=1")).await.unwrap();
    let event = only(&agent).await;
    assert_eq!((event.route.as_str(), event.request.unwrap().url.as_str()), ("GET /a", "//shop.example/a?x=1"));
}

#[tokio::test]
async fn with_capture_errors_off_the_layer_opens_no_context() {
    let agent = TestAgent::with(|config| config.capture_errors(false)).unwrap();
    let mut service = agent.layer().layer(service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::builder().status(500).body(Body::empty()).unwrap())
    }));
    assert_eq!(service.call(request("/x")).await.unwrap().status(), 500);
    assert!(agent.errors().await.is_empty());
}

/// What almost every request is.
fn not_traced(capture_errors: bool) -> TestAgent {
    TestAgent::with(|config| config.sample_rate(0.0).capture_errors(capture_errors)).unwrap()
}

#[tokio::test]
async fn a_request_that_is_not_traced_tells_its_5xx_with_its_own_context() {
    let agent = not_traced(true);
    let response = app(&agent).oneshot(request("/orders/7?page=2&token=secret")).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    drop(response.into_body().collect().await);
    let event = only(&agent).await;
    assert_eq!((event.message.as_str(), event.handled, event.trace_id), ("502 Bad Gateway", false, None));
    assert_eq!((event.route.as_str(), event.contexts["status"].as_str()), ("GET /orders/{id}", "502"));
    assert_eq!((event.user, event.tags["inside"].as_str()), (Some(User::id("7")), "1"));
    assert_eq!(event.request.unwrap().url, "//shop.example/orders/7?page=2&token=[REDACTED]");
}

#[tokio::test]
async fn a_request_that_is_not_traced_tells_what_comes_in_its_body() {
    let agent = not_traced(true);
    let service = service_fn(|_: Request<Body>| async {
        let stream = futures::stream::once(async {
            flame_on::capture_message("in the body", flame_on::Severity::Error);
            Ok::<_, Infallible>("data")
        });
        Ok::<_, Infallible>(Response::new(Body::from_stream(stream)))
    });
    let response = agent.layer().layer(service).oneshot(request("/x")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "data");
    let event = only(&agent).await;
    assert_eq!((event.request.unwrap().method.as_str(), event.trace_id), ("GET", None));
}

#[tokio::test]
async fn the_error_of_a_request_that_is_not_traced_goes_on_unchanged_and_is_told_if_errors_are() {
    for capture_errors in [true, false] {
        let agent = not_traced(capture_errors);
        let service = service_fn(|_: Request<Body>| async {
            // A poll that waits, and one that does not.
            tokio::task::yield_now().await;
            Err::<Response<Body>, _>(Refused)
        });
        let result = agent.layer().layer(service).oneshot(request("/x")).await;
        assert!(matches!(result, Err(Refused)));
        let told: Vec<_> = agent.errors().await.into_iter().map(|event| (event.message, event.trace_id)).collect();
        let expected = ("refused: password=[REDACTED]".to_owned(), None);
        assert_eq!(told, Vec::from_iter(capture_errors.then_some(expected)));
    }
}
