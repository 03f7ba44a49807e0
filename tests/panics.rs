//! Panics as events. A binary of its own, because the panic hook is the process's; its tests run one after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use flame_on::testing::TestAgent;
use flame_on::{ErrorContextExt, ErrorEvent, User};
use futures::FutureExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

/// How often the hook of before the agent has run.
static PREVIOUS: AtomicUsize = AtomicUsize::new(0);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static HOOK: Once = Once::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Before any agent; quiet, as the panics are meant.
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|_| {
            PREVIOUS.fetch_add(1, Ordering::Relaxed);
        }));
    });
    alone
}

/// The one event of the agent, for as many panics as the hook of before has seen.
fn only(agent: &TestAgent, before: usize, panics: usize) -> ErrorEvent {
    let mut events = agent.errors_blocking();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(PREVIOUS.load(Ordering::Relaxed) - before, panics, "the previous hook runs");
    events.remove(0)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_panic_of_a_spawned_task_carries_all_that_its_task_knew() {
    let _alone = alone();
    let (agent, before) = (TestAgent::start().unwrap(), PREVIOUS.load(Ordering::Relaxed));
    let line = line!() + 2;
    let child = async {
        panic!("no stock for token={}", "secret");
    };
    let parent = async {
        flame_on::set_user(User::id("7"));
        flame_on::set_tag("a", 1);
        assert!(tokio::spawn(child.with_error_context()).await.unwrap_err().is_panic());
    };
    runtime()
        .block_on(agent.unit("shop.batch", || "nightly").run(agent.in_context(|| parent.with_new_error_context())));
    let trace = agent.traces_blocking().remove(0);
    let event = only(&agent, before, 1);
    assert_eq!(event.message, "no stock for token=[REDACTED]");
    assert_eq!((event.handled, event.trace_id), (false, Some(trace.id())));
    assert_eq!((event.user, event.tags["a"].as_str()), (Some(User::id("7")), "1"));
    assert!(event.contexts["location"].starts_with(&format!("tests/panics.rs:{line}:")), "{:?}", event.contexts);
    assert!(event.contexts.contains_key("thread"));
    let [exception] = &event.exceptions[..] else { panic!("{:?}", event.exceptions) };
    assert_eq!((exception.type_name.as_str(), exception.value.as_str()), ("panic", event.message.as_str()));
    let first = &exception.frames[0];
    assert!(first.function.contains("a_panic_of_a_spawned_task"), "{:#?}", exception.frames);
    assert_eq!((first.line, first.in_app), (line, true));
    assert_eq!(agent.stats().panics_captured, 1);
}

#[test]
fn a_panicking_request_is_one_event_and_unwinds_on() {
    let _alone = alone();
    let (agent, before) = (TestAgent::start().unwrap(), PREVIOUS.load(Ordering::Relaxed));
    let app = Router::new()
        .route(
            "/users/{id}",
            get(|| async {
                if true {
                    panic!("boom")
                }
            }),
        )
        .layer(agent.layer());
    let request = Request::get("/users/7?password=secret").body(Body::empty()).unwrap();
    let caught = runtime().block_on(AssertUnwindSafe(app.oneshot(request)).catch_unwind());
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
    let event = only(&agent, before, 1);
    assert_eq!((event.route.as_str(), event.message.as_str()), ("GET /users/{id}", "boom"));
    assert_eq!(event.request.unwrap().url, "/users/7?password=[REDACTED]");
}

#[test]
fn a_panic_that_was_caught_and_became_a_500_is_one_event() {
    let _alone = alone();
    let (agent, before) = (TestAgent::start().unwrap(), PREVIOUS.load(Ordering::Relaxed));
    let service = service_fn(|_: Request<Body>| async {
        let work = AssertUnwindSafe(async { panic!("boom") }).catch_unwind().await;
        assert!(work.is_err());
        let response = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body(Body::empty());
        Ok::<_, Infallible>(response.unwrap())
    });
    let request = Request::get("/x").body(Body::empty()).unwrap();
    let response = runtime().block_on(agent.layer().layer(service).oneshot(request)).unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(only(&agent, before, 1).message, "boom");
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        // Caught in here: a panic that leaves a destructor while unwinding ends the process.
        assert!(catch_unwind(|| panic!("in a drop")).is_err());
    }
}

#[test]
fn panics_while_unwinding_are_told_too() {
    let _alone = alone();
    let agent = TestAgent::start().unwrap();
    agent.in_context(|| {
        let unwound = catch_unwind(|| {
            let _guard = PanicsInDrop;
            panic!("first");
        });
        assert!(unwound.is_err());
    });
    let messages: Vec<_> = agent.errors_blocking().into_iter().map(|event| event.message).collect();
    assert_eq!(messages, ["first", "in a drop"]);
}

#[test]
fn a_future_whose_drop_panics_tells_its_context() {
    let _alone = alone();
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            assert!(catch_unwind(|| panic!("dropped")).is_err());
        }
    }
    let (agent, before) = (TestAgent::start().unwrap(), PREVIOUS.load(Ordering::Relaxed));
    let work = async {
        flame_on::set_tag("a", 1);
        let _guard = Guard;
        std::future::pending::<()>().await;
    };
    runtime().block_on(async {
        let mut work = Box::pin(agent.in_context(|| work.with_new_error_context()));
        assert!(futures::poll!(&mut work).is_pending());
    });
    assert_eq!(only(&agent, before, 1).tags["a"], "1");
}

#[test]
fn a_panic_while_the_context_is_changed_does_not_wait_for_it() {
    let _alone = alone();
    let (agent, before) = (TestAgent::start().unwrap(), PREVIOUS.load(Ordering::Relaxed));
    agent.in_context(|| {
        assert!(catch_unwind(|| flame_on::configure_context(|_| panic!("in the change"))).is_err());
        flame_on::set_tag("still", "works");
    });
    assert_eq!(only(&agent, before, 1).message, "in the change");
}

#[test]
fn a_payload_of_any_type_is_told() {
    let _alone = alone();
    let (agent, before) = (TestAgent::start().unwrap(), PREVIOUS.load(Ordering::Relaxed));
    agent.in_context(|| assert!(catch_unwind(|| panic_any(7_u8)).is_err()));
    assert_eq!(only(&agent, before, 1).message, "a panic without a text");
}

#[test]
fn panics_on_the_agents_own_threads_are_nobodys() {
    let _alone = alone();
    let before = PREVIOUS.load(Ordering::Relaxed);
    let agent = TestAgent::with(|config| config.before_send(|_| panic!("in before_send"))).unwrap();
    agent.capture(flame_on::Report::message("x"));
    assert!(agent.errors_blocking().is_empty());
    let stats = agent.stats();
    assert_eq!((stats.before_send_panics, stats.panics_captured, stats.errors_captured), (1, 0, 1));
    assert_eq!(PREVIOUS.load(Ordering::Relaxed) - before, 1);
}

#[test]
fn without_an_agent_panics_go_their_way() {
    let _alone = alone();
    drop(TestAgent::start().unwrap());
    let before = PREVIOUS.load(Ordering::Relaxed);
    assert!(catch_unwind(|| panic!("alone")).is_err());
    assert_eq!(PREVIOUS.load(Ordering::Relaxed) - before, 1);
}
