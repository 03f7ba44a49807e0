//! When a trace ends, and how.

use std::task::{Context, Poll};
use std::time::Duration;

use flame_on::testing::TestAgent;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::support::{Answer, Broken, Script, Step, agent, all, ends, get, ok, only};
use Step::{Data, Fail, NotTraced, Panic, Pending};

type Traced = Response<flame_on::TracedBody<Script>>;

/// Sends one request to a service that gives this response.
async fn send(agent: &TestAgent, request: Request<http_body_util::Empty<bytes::Bytes>>, response: Answer) -> Traced {
    let mut response = Some(response);
    let service = service_fn(move |_: Request<_>| std::future::ready(response.take().unwrap()));
    agent.layer().layer(service).oneshot(request).await.unwrap()
}

async fn send_body(agent: &TestAgent, body: Script) -> Traced {
    send(agent, get("/x"), ok(body)).await
}

/// Sends a request whose trace must have ended when the head is out, though the body is held.
async fn ends_with_the_head(method: Method, response: http::response::Builder, body: Script) {
    let agent = agent();
    let mut request = get("/x");
    *request.method_mut() = method;
    let held = send(&agent, request, Ok(response.body(body).unwrap())).await;
    only(&agent).await;
    assert_eq!(ends(&agent), (1, 0, 0));
    // What comes later is nobody's.
    assert_eq!(held.into_body().collect().await.unwrap().to_bytes(), "x");
    assert_eq!((all(&agent).await.len(), ends(&agent)), (0, (1, 0, 0)));
}

#[tokio::test]
async fn event_streams_end_with_the_head() {
    for content_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8"] {
        let head = Response::builder().header("content-type", content_type);
        ends_with_the_head(Method::GET, head, Script::new([NotTraced])).await;
    }
}

#[tokio::test]
async fn upgraded_connections_end_with_the_head() {
    ends_with_the_head(Method::GET, Response::builder().status(101), Script::new([NotTraced])).await;
    ends_with_the_head(Method::CONNECT, Response::builder(), Script::new([NotTraced])).await;
}

#[tokio::test]
async fn responses_whose_body_no_server_reads_end_with_the_head() {
    ends_with_the_head(Method::HEAD, Response::builder(), Script::new([NotTraced])).await;
    ends_with_the_head(Method::GET, Response::builder().status(204), Script::new([NotTraced])).await;
    ends_with_the_head(Method::GET, Response::builder().status(304), Script::new([NotTraced])).await;
}

#[tokio::test]
async fn a_body_that_says_that_it_is_empty_ends_with_the_head() {
    let agent = agent();
    let held = send_body(&agent, Script::empty()).await;
    only(&agent).await;
    assert_eq!(ends(&agent), (1, 0, 0));
    drop(held);
    assert_eq!(ends(&agent), (1, 0, 0));
}

#[tokio::test]
async fn another_body_ends_when_it_says_so_by_none() {
    let agent = agent();
    let mut held = send_body(&agent, Script::new([Pending, Data("a"), Pending, Data("b")])).await;
    assert!(held.frame().await.is_some() && held.frame().await.is_some());
    assert_eq!((agent.traces().await.len(), agent.active_traces()), (0, 1), "there may be more");
    assert!(held.frame().await.is_none());
    only(&agent).await;
    assert_eq!(ends(&agent), (1, 0, 0));
}

#[tokio::test]
async fn a_body_that_knows_its_end_ends_with_its_last_frame() {
    let agent = agent();
    let mut held = send_body(&agent, Script::new([Data("a"), Data("b")]).knowing_its_end()).await;
    assert!(held.frame().await.is_some());
    assert_eq!(agent.active_traces(), 1);
    assert!(held.frame().await.is_some());
    only(&agent).await;
    assert_eq!(ends(&agent), (1, 0, 0));
    assert!(held.frame().await.is_none());
}

#[tokio::test]
async fn a_body_dropped_early_is_a_cancelled_trace() {
    for frames_read in [0, 1] {
        let agent = agent();
        let mut held = send_body(&agent, Script::new([Data("a"), Data("b")])).await;
        for _ in 0..frames_read {
            held.frame().await.unwrap().unwrap();
        }
        drop(held);
        only(&agent).await;
        assert_eq!(ends(&agent), (0, 1, 0));
    }
}

#[tokio::test]
async fn an_error_of_the_body_passes_unchanged_and_ends_the_trace() {
    let agent = agent();
    let mut held = send_body(&agent, Script::new([Data("a"), Fail, NotTraced])).await;
    held.frame().await.unwrap().unwrap();
    assert_eq!(held.frame().await.unwrap().unwrap_err(), Broken(7));
    only(&agent).await;
    assert_eq!(ends(&agent), (1, 0, 0));
    assert!(held.frame().await.unwrap().is_ok(), "the body may go on");
}

#[tokio::test]
async fn a_panic_goes_on_and_ends_the_trace_wherever_it_was() {
    async fn message(agent: &TestAgent, task: impl Future<Output = ()> + Send + 'static) -> String {
        let payload = tokio::spawn(task).await.unwrap_err().into_panic();
        assert_eq!(only(agent).await.identifier().split(' ').next(), Some("GET"));
        assert_eq!(ends(agent), (0, 0, 1));
        assert_eq!(flame_on::current_trace_id(), None);
        (*payload.downcast::<&str>().unwrap()).to_owned()
    }

    let one = agent();
    let call = one.layer().layer(service_fn(|_: Request<_>| -> std::future::Ready<Answer> { panic!("in call") }));
    assert_eq!(message(&one, async { drop(call.oneshot(get("/x")).await) }).await, "in call");

    let two = agent();
    let handler = two.layer().layer(service_fn(|_: Request<_>| async {
        tokio::task::yield_now().await;
        if true {
            panic!("in the handler");
        }
        ok(Script::empty())
    }));
    assert_eq!(message(&two, async { drop(handler.oneshot(get("/x")).await) }).await, "in the handler");

    let three = agent();
    let body = send_body(&three, Script::new([Data("a"), Panic])).await.into_body();
    assert_eq!(message(&three, async { drop(body.collect().await) }).await, "in the body");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_is_a_cancelled_trace() {
    let agent = agent();
    let slow = service_fn(|_: Request<_>| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        ok(Script::empty())
    });
    let request = agent.layer().layer(slow).oneshot(get("/x"));
    tokio::time::timeout(Duration::from_secs(1), request).await.unwrap_err();
    let trace = only(&agent).await;
    assert_eq!((trace.identifier(), ends(&agent)), ("GET", (0, 1, 0)));
    assert!(trace.contains("SLEEP"));
}

#[tokio::test]
async fn a_request_that_is_never_polled_is_cancelled_too_because_its_call_has_run() {
    let agent = agent();
    let mut service = agent.layer().layer(service_fn(|_: Request<_>| std::future::pending::<Answer>()));
    drop(service.call(get("/x")));
    only(&agent).await;
    assert_eq!(ends(&agent), (0, 1, 0));
}

#[tokio::test]
async fn a_trace_that_is_stopped_early_leaves_the_response_alone() {
    let agent = agent();
    let stopping = agent.clone();
    let service = service_fn(move |_: Request<_>| {
        let agent = stopping.clone();
        async move {
            agent.collector().emit("axum.request.stop");
            tokio::task::yield_now().await;
            assert_eq!(flame_on::current_trace_id(), None);
            ok(Script::new([NotTraced]))
        }
    });
    let response = agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "x");
    only(&agent).await;
    assert_eq!(agent.stats().stopped, 1);
}

#[tokio::test]
async fn many_frames_are_one_trace() {
    let agent = agent();
    let steps = (0..20_000).map(|n| if n % 2 == 0 { Pending } else { Data("0123456789") });
    let response = send_body(&agent, Script::new(steps)).await;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 100_000);
    only(&agent).await;
    let stats = agent.stats();
    assert_eq!((stats.done, stats.starved, stats.suppressed_frames), (1, 0, 0));
    assert!(stats.events >= 40_000, "an In and an Out for each poll: {stats:?}");
}

#[tokio::test]
async fn the_trace_is_the_same_in_call_handler_and_body() {
    let agent = agent();
    let mut ids = Vec::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = service_fn(move |_: Request<_>| {
        sender.send(flame_on::current_trace_id()).unwrap();
        let sender = sender.clone();
        async move {
            sender.send(flame_on::current_trace_id()).unwrap();
            let body = http_body_util::Full::new(&b"x"[..]).map_frame(move |frame: http_body::Frame<&'static [u8]>| {
                sender.send(flame_on::current_trace_id()).unwrap();
                frame
            });
            Ok::<_, std::convert::Infallible>(Response::new(body))
        }
    });
    let response = agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    assert_eq!(flame_on::current_trace_id(), None);
    response.into_body().collect().await.unwrap();
    ids.extend(receiver.try_iter());
    let id = only(&agent).await.id();
    assert_eq!(ids, [Some(id); 3]);
}

#[test]
fn a_poll_after_the_end_is_the_bodys_own_affair() {
    let agent = agent();
    let service = service_fn(|_: Request<_>| std::future::ready(ok(Script::new([Data("a")]))));
    let response = futures::executor::block_on(agent.layer().layer(service).oneshot(get("/x"))).unwrap();
    let mut body = std::pin::pin!(response.into_body());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(matches!(body.as_mut().poll_frame(&mut cx), Poll::Ready(Some(Ok(_)))));
    for _ in 0..3 {
        assert!(matches!(body.as_mut().poll_frame(&mut cx), Poll::Ready(None)));
    }
    assert_eq!(agent.traces_blocking().len(), 1);
}
