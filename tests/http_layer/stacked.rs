//! A layer inside of another trace.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::support::{A_WHILE, Script, Step, agent, all, get, ok, only, own, work};

#[tokio::test]
async fn two_layers_of_one_agent_are_one_trace_and_the_inner_is_a_frame() {
    let agent = agent();
    let service = service_fn(|_: Request<_>| async {
        flame_on::in_frame("handle", work);
        tokio::time::sleep(A_WHILE).await;
        ok(Script::new([Step::Data("a"), Step::Render("b")]))
    });
    let inner = agent.layer().layer(service);
    let mut response = agent.layer().layer(inner).oneshot(get("/x")).await.unwrap();
    while response.frame().await.is_some() {
        work();
    }
    let trace = only(&agent).await;
    assert_eq!(agent.stats().started, 1);
    assert_eq!(trace.identifier(), "GET 2xx");
    for path in ["axum.request;handle", "axum.request;render", "axum.request;SLEEP"] {
        let path = format!("axum.request GET 2xx;{path}");
        assert!(trace.paths().any(|(own, _)| own == path), "{path} is not in {}", trace.collapsed());
    }
    assert!(own(&trace, "PEER") >= 2 * A_WHILE, "{}", trace.collapsed());
    assert!(own(&trace, "SLEEP") < trace.duration() - 4 * A_WHILE, "{}", trace.collapsed());
    assert!(trace.paths().all(|(path, _)| path.matches("axum.request").count() <= 2), "{}", trace.collapsed());
}

#[tokio::test]
async fn a_layer_within_a_unit_is_a_frame_of_the_unit() {
    let agent = agent();
    let service = service_fn(|_: Request<_>| async {
        flame_on::in_frame("handle", work);
        ok(Script::new([Step::Data("a")]))
    });
    let request = agent.layer().skip(|_| false).layer(service).oneshot(get("/x"));
    let response = agent.unit("shop.batch", || "nightly").run(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "a", "long after the unit has ended");
    let trace = only(&agent).await;
    assert_eq!(trace.identifier(), "nightly");
    assert!(trace.paths().any(|(path, _)| path.ends_with(";axum.request;handle")), "{}", trace.collapsed());
}

#[tokio::test]
async fn layers_of_two_agents_make_a_trace_each() {
    let (outer, inner) = (agent(), agent());
    let service = service_fn(|_: Request<_>| async {
        flame_on::in_frame("handle", work);
        // In a task, which begins when the request waits.
        tokio::spawn(async { tokio::time::sleep(A_WHILE).await }).await.unwrap();
        ok(Script::new([Step::Render("a")]))
    });
    let stacked = outer.layer().layer(inner.layer().layer(service));
    let response = stacked.oneshot(get("/x")).await.unwrap();
    response.into_body().collect().await.unwrap();
    let (outside, inside) = (only(&outer).await, only(&inner).await);
    assert!(own(&inside, "handle") >= A_WHILE && own(&inside, "render") >= A_WHILE, "{}", inside.collapsed());
    assert!(!outside.contains("handle"), "{}", outside.collapsed());
    let one_tick = Duration::from_millis(1);
    assert!(own(&outside, "SLEEP") >= A_WHILE - one_tick && own(&inside, "SLEEP") >= A_WHILE - one_tick);
    assert!(outside.duration() >= inside.duration());
    assert_ne!(outside.id(), inside.id());
}

#[tokio::test]
async fn a_panic_through_two_agents_ends_both_traces() {
    let (outer, inner) = (agent(), agent());
    let service = service_fn(|_: Request<_>| async {
        if true {
            panic!("both");
        }
        Ok::<_, std::convert::Infallible>(Response::new(Script::empty()))
    });
    let stacked = outer.layer().layer(inner.layer().layer(service));
    tokio::spawn(stacked.oneshot(get("/x"))).await.unwrap_err();
    assert_eq!((all(&outer).await.len(), all(&inner).await.len()), (1, 1));
    assert_eq!((outer.stats().panicked, inner.stats().panicked), (1, 1));
}
