//! Tests of a host that uses the agent: parallel, no network, no sleep, nothing process-wide.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use flame_on::testing::TestAgent;
use flame_on::{Decision, FlameOn, frame};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// Seen beside what a busy machine adds: what is below 1 % of a trace is left out.
const A_WHILE: Duration = Duration::from_millis(5);

fn app(flame_on: &FlameOn) -> Router {
    Router::new()
        .route(
            "/users/{id}",
            get(|| async {
                {
                    frame!("load");
                    std::thread::sleep(A_WHILE);
                }
                flame_on::call_named("postgres", &("query", "select 1"), async {
                    let (answer, answered) = tokio::sync::oneshot::channel();
                    // From a task, which begins when the request waits. Not a timer: the clock may be paused.
                    tokio::spawn(async move {
                        tokio::task::spawn_blocking(|| std::thread::sleep(A_WHILE)).await.ok();
                        answer.send(()).ok();
                    });
                    answered.await.ok();
                })
                .await;
                "ok"
            }),
        )
        .layer(flame_on.layer())
}

async fn get_it(app: Router, path: &str) -> String {
    let response = app.oneshot(http::Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_is_traced() {
    let agent = TestAgent::start().unwrap();
    assert_eq!(get_it(app(&agent), "/users/1?token=x").await, "ok");
    let traces = agent.traces().await;
    let [trace] = &traces[..] else { panic!("{traces:?}") };
    assert_eq!((trace.event_name(), trace.identifier()), ("axum.request", "GET /users/{id}"));
    assert!(trace.contains("load") && trace.contains("CALL postgres"), "{}", trace.collapsed());
    assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration());
}

#[tokio::test]
async fn own_handler_applies_and_two_agents_do_not_mix() {
    let quiet = TestAgent::with(|c| c.handler_fn(|_| Decision::Skip)).unwrap();
    let loud = TestAgent::start().unwrap();
    get_it(app(&quiet), "/users/1").await;
    get_it(app(&loud), "/users/2").await;
    assert_eq!((quiet.traces().await.len(), loud.traces().await.len()), (0, 1));
}

#[test]
fn synchronous_code_without_a_runtime() {
    let agent = TestAgent::start().unwrap();
    agent.in_context(|| FlameOn::current().unit("in_context", || "u")).in_scope(|| ());
    agent.unit("job", || "j").in_scope(|| ());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        assert_eq!(agent.traces().await.len(), 2);
    });
}

#[tokio::test]
async fn what_was_taken_is_not_given_again() {
    let agent = TestAgent::start().unwrap();
    get_it(app(&agent), "/users/1").await;
    assert_eq!(agent.traces().await.len(), 1);
    assert_eq!(agent.traces().await.len(), 0);
    assert!(agent.flush(Duration::from_secs(30)).await.within_deadline);
}

#[test]
fn the_public_types_are_send_sync_static() {
    fn all<T: Send + Sync + 'static>() {}
    fn send<T: Send + 'static>(_: &T) {}
    all::<FlameOn>();
    all::<flame_on::FlameOnGuard>();
    all::<flame_on::FlameOnLayer>();
    all::<flame_on::ShipError>();
    all::<flame_on::StartError>();
    all::<flame_on::TraceBatch>();
    all::<flame_on::BoxedAdapter<flame_on::TraceBatch>>();
    send(&FlameOn::disabled().unit("a", || "b").run(async { tokio::task::yield_now().await }));
}
