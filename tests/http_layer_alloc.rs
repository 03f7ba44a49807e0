//! What a request costs that is not sampled: no allocation. In a binary of its own, because of the allocator.
#![allow(unsafe_code, clippy::unwrap_used, reason = "a test's own allocator")]

#[path = "common/allocator.rs"]
mod allocator;

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocator::Counting;
use bytes::Bytes;
use flame_on::testing::TestAgent;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use tower::{Layer as _, Service as _, service_fn};

thread_local! {
    /// Allocations of this thread: the agent's own threads are not the host's business here.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    if bytes > 0 {
        // `Err`: the thread ends.
        ALLOCATIONS.try_with(|count| count.set(count.get() + 1)).ok();
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(count);

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

async fn answer(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"x"))))
}

#[test]
fn an_unsampled_request_allocates_nothing() {
    let agent = TestAgent::with(|config| config.sample_rate(0.0).capture_errors(false)).unwrap();
    let layer = agent.layer().skip(|r| r.uri.path() == "/health").force(|r| r.headers.contains_key("x-flame-on"));
    let service = layer.layer(service_fn(answer));
    let mut cx = Context::from_waker(Waker::noop());
    let mut request_once = |method: http::Method| {
        let mut request = Request::new(Full::new(Bytes::from_static(b"y")));
        *request.method_mut() = method;
        // As axum does it: a clone of the service for each request.
        let mut service = service.clone();
        let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut cx) else { unreachable!() };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut cx) {}
    };
    // The first one seeds this thread's dice and registers its counter.
    request_once(http::Method::GET);
    let allocated = allocations(|| {
        for _ in 0..500 {
            request_once(http::Method::GET);
            request_once(http::Method::POST);
        }
    });
    assert_eq!(allocated, 0);
    assert_eq!(agent.stats().sampled_out, 1_001);
    agent.set_sample_rate(1.0).unwrap();
    assert_ne!(allocations(|| request_once(http::Method::GET)), 0, "the allocator counts");
}
