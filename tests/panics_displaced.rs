//! A host that puts another panic hook in the agent's place. A binary of its own, because the hook is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::http::{Request, Response};
use flame_on::testing::TestAgent;
use futures::FutureExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

#[test]
fn the_layer_tells_a_panic_that_no_hook_has_told() {
    let agent = TestAgent::start().unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let service = service_fn(|_: Request<Body>| async {
        if true {
            panic!("boom");
        }
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let request = Request::get("/x").body(Body::empty()).unwrap();
    let work = AssertUnwindSafe(agent.layer().layer(service).oneshot(request)).catch_unwind();
    let caught = tokio::runtime::Runtime::new().unwrap().block_on(work);
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
    let events = agent.errors_blocking();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!((events[0].message.as_str(), events[0].handled), ("the work panicked", false));
    assert_eq!(events[0].request.as_ref().unwrap().method, "GET");
}
