//! `unit_layer`: any tower service.

use flame_on::testing::TestAgent;
use http::Request;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::support::{A_WHILE, Script, agent, all, ends, get, ok, only, own, work};

#[derive(Debug)]
struct Job {
    kind: &'static str,
}

async fn work_on(job: Job) -> Result<usize, std::io::Error> {
    flame_on::in_frame("resize", work);
    tokio::task::yield_now().await;
    if job.kind.is_empty() { Err(std::io::Error::other("no kind")) } else { Ok(job.kind.len()) }
}

#[tokio::test]
async fn each_call_is_a_unit_named_by_its_request() {
    let agent = agent();
    let layer = agent.unit_layer("shop.job", |job: &Job| job.kind);
    assert_eq!(layer.layer(service_fn(work_on)).oneshot(Job { kind: "image" }).await.unwrap(), 5);
    let trace = only(&agent).await;
    assert_eq!((trace.event_name(), trace.identifier()), ("shop.job", "image"));
    assert!(own(&trace, "resize") >= A_WHILE, "{}", trace.collapsed());
}

#[tokio::test]
async fn a_failed_call_is_done_and_its_error_unchanged() {
    let agent = agent();
    let layer = agent.unit_layer("shop.job", |job: &Job| format!("{} {:?}", job.kind, job));
    let error = layer.layer(service_fn(work_on)).oneshot(Job { kind: "" }).await.unwrap_err();
    assert_eq!(error.to_string(), "no kind");
    only(&agent).await;
    assert_eq!(ends(&agent), (1, 0, 0));
}

#[tokio::test]
async fn work_in_call_is_a_part_of_the_unit() {
    let agent = agent();
    let service = service_fn(|_: Job| {
        flame_on::in_frame("accept", work);
        std::future::ready(Ok::<_, std::io::Error>(()))
    });
    let layer = agent.unit_layer("shop.job", |_: &Job| "any");
    layer.layer(service).oneshot(Job { kind: "a" }).await.unwrap();
    let trace = only(&agent).await;
    assert!(own(&trace, "accept") >= A_WHILE, "{}", trace.collapsed());
    assert_eq!(own(&trace, "SLEEP"), std::time::Duration::ZERO);
}

#[tokio::test]
async fn the_identifier_is_not_made_for_calls_that_are_not_sampled() {
    let agent = TestAgent::with(|config| config.sample_rate(0.0)).unwrap();
    let layer = agent.unit_layer("shop.job", |_: &Job| -> String { panic!("made") });
    layer.layer(service_fn(work_on)).oneshot(Job { kind: "a" }).await.unwrap();
    assert_eq!((agent.stats().sampled_out, agent.stats().handler_panics), (1, 0));
    agent.set_sample_rate(1.0).unwrap();
    layer.layer(service_fn(work_on)).oneshot(Job { kind: "a" }).await.unwrap();
    assert_eq!((agent.stats().handler_panics, agent.stats().started), (1, 0), "a panic in it leaves the call alone");
}

#[tokio::test]
async fn a_unit_within_a_request_is_a_frame_of_it() {
    let agent = agent();
    let jobs = agent.unit_layer("shop.job", |_: &Job| "any").layer(service_fn(work_on));
    let service = service_fn(move |_: Request<_>| {
        let jobs = jobs.clone();
        async move {
            jobs.oneshot(Job { kind: "a" }).await.unwrap();
            ok(Script::empty())
        }
    });
    agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    let trace = only(&agent).await;
    assert!(trace.paths().any(|(path, _)| path == "axum.request GET 2xx;shop.job;resize"), "{}", trace.collapsed());
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_a_stopped_agent_leaves_a_pass_through() {
    let agent = agent();
    let layer = agent.unit_layer("shop.job", |_: &Job| "any");
    drop(layer.layer(service_fn(work_on)).oneshot(Job { kind: "not even called" }));
    assert_eq!(agent.stats().started, 0);
    let mut service = layer.layer(service_fn(work_on));
    drop(tower::Service::call(&mut service, Job { kind: "called" }));
    assert_eq!((all(&agent).await.len(), ends(&agent)), (1, (0, 1, 0)));
    agent.shutdown().await;
    assert_eq!(service.oneshot(Job { kind: "abc" }).await.unwrap(), 3);
}
