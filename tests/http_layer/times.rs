//! Where a request's time goes.

use std::task::{Context, Poll};
use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{FrameExt as _, UnitSettings};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::support::{A_WHILE, Script, Step, agent, all, get, ok, only, own, own_of_root, work};

fn three_frames() -> Script {
    Script::new([Step::Data("a"), Step::Render("b"), Step::Data("c")])
}

#[tokio::test]
async fn the_time_of_a_slow_client_is_peer() {
    let agent = agent();
    let service = service_fn(|_: Request<_>| async { ok(three_frames()) });
    let mut response = agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    work();
    while response.frame().await.is_some() {
        work();
    }
    let trace = only(&agent).await;
    let peer = own(&trace, "PEER");
    assert!(peer >= 4 * A_WHILE, "before the first frame and after each: {}", trace.collapsed());
    assert!(own(&trace, "render") >= A_WHILE, "{}", trace.collapsed());
    assert_eq!(own(&trace, "SLEEP"), Duration::ZERO, "{}", trace.collapsed());
    assert!(trace.paths().all(|(path, _)| !path.contains("PEER") || path.matches(';').count() == 1));
}

#[tokio::test]
async fn the_time_of_a_slow_client_does_not_count_for_the_threshold() {
    // Far above what a busy machine adds to a handler that does nothing.
    let threshold = Duration::from_secs(1);
    let settings = UnitSettings::new().threshold(threshold);
    let agent = TestAgent::with(|config| config.event("axum.request", settings)).unwrap();
    let service = service_fn(|_: Request<_>| async { ok(three_frames()) });
    let mut response = agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    response.frame().await.unwrap().unwrap();
    std::thread::sleep(threshold + A_WHILE);
    while response.frame().await.is_some() {}
    assert_eq!(all(&agent).await.len(), 0);
    assert_eq!((agent.stats().below_threshold, agent.stats().done), (1, 1));

    let slow = service_fn(|_: Request<_>| async {
        std::thread::sleep(threshold + A_WHILE);
        ok(Script::empty())
    });
    agent.layer().layer(slow).oneshot(get("/x")).await.unwrap();
    only(&agent).await;
}

#[tokio::test]
async fn a_body_that_waits_sleeps() {
    let agent = agent();
    let waiting = service_fn(|_: Request<_>| async {
        let stream = futures::stream::once(async {
            // In a task, which begins when the body waits.
            tokio::spawn(async { tokio::time::sleep(A_WHILE).await }).in_frame("next_row").await.unwrap();
            Ok::<_, std::io::Error>("row")
        });
        Ok::<_, std::convert::Infallible>(Response::new(axum::body::Body::from_stream(stream)))
    });
    let response = agent.layer().layer(waiting).oneshot(get("/x")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "row");
    let trace = only(&agent).await;
    let slept: Duration = trace.paths().filter(|(path, _)| path.ends_with(";next_row;SLEEP")).map(|(_, own)| own).sum();
    // tokio's timer counts whole milliseconds.
    assert!(slept >= A_WHILE - Duration::from_millis(1), "{}", trace.collapsed());
}

#[tokio::test]
async fn work_in_call_is_traced() {
    let agent = agent();
    let service = service_fn(|_: Request<_>| {
        flame_on::in_frame("route", work);
        async {
            flame_on::in_frame("handle", work);
            ok(Script::empty())
        }
    });
    agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    let trace = only(&agent).await;
    assert!(own(&trace, "route") >= A_WHILE && own(&trace, "handle") >= A_WHILE, "{}", trace.collapsed());
}

#[tokio::test]
async fn a_request_that_is_polled_late_does_not_sleep_before() {
    let agent = agent();
    let leaking = service_fn(|_: Request<_>| {
        // Left open by the call: it must not become the parent of what the poll does.
        std::mem::forget(flame_on::FrameGuard::enter("leaked"));
        async {
            flame_on::in_frame("handle", work);
            ok(Script::empty())
        }
    });
    let mut service = agent.layer().layer(leaking);
    let future = service.call(get("/x"));
    work();
    future.await.unwrap();
    let trace = only(&agent).await;
    assert!(own_of_root(&trace) >= A_WHILE, "{}", trace.collapsed());
    assert_eq!(own(&trace, "SLEEP"), Duration::ZERO, "{}", trace.collapsed());
    let paths: Vec<_> = trace.paths().map(|(path, _)| path).collect();
    assert!(paths.contains(&"axum.request GET 2xx;handle".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn the_drop_of_what_is_cancelled_is_a_part_of_the_trace() {
    struct SlowDrop;
    impl Drop for SlowDrop {
        fn drop(&mut self) {
            work();
        }
    }
    let agent = agent();
    let mut service = agent.layer().layer(service_fn(|_: Request<_>| async {
        let _held = SlowDrop;
        std::future::pending::<super::support::Answer>().await
    }));
    let mut future = Box::pin(service.call(get("/x")));
    let polled = future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
    drop(future);
    assert!(only(&agent).await.duration() >= A_WHILE);
}

#[tokio::test]
async fn requests_that_run_at_once_in_one_task_do_not_mix() {
    let agent = agent();
    let service = service_fn(|request: Request<_>| async move {
        let name = if request.uri().path() == "/a" { "for_a" } else { "for_b" };
        flame_on::set_identifier(request.uri().path());
        for _ in 0..3 {
            flame_on::in_frame(name, work);
            tokio::task::yield_now().await;
        }
        ok(Script::empty())
    });
    let layer = agent.layer();
    let (a, b) = tokio::join!(layer.layer(service).oneshot(get("/a")), layer.layer(service).oneshot(get("/b")));
    assert!(a.is_ok() && b.is_ok());
    let traces = all(&agent).await;
    assert_eq!(traces.len(), 2);
    for trace in traces {
        let (own_name, other) = if trace.identifier() == "/a" { ("for_a", "for_b") } else { ("for_b", "for_a") };
        assert!(own(&trace, own_name) >= 3 * A_WHILE && !trace.contains(other), "{}", trace.collapsed());
        assert!(own(&trace, "SLEEP") >= 2 * A_WHILE, "while the other one ran: {}", trace.collapsed());
    }
}
