//! Many requests at once through the layer, each with a user of its own, awaiting and failing at random: what an error
//! tells is its own request's. A binary of its own, because of the panic hook.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::get;
use flame_on::testing::TestAgent;
use flame_on::{Breadcrumb, ErrorContextExt as _, ErrorEvent, Report, Severity, TraceId, User};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

const REQUESTS: usize = 64;
/// The name of the threads on which panics are meant.
const WORKER: &str = "worker";
/// The header that says whose request it is.
const ID: &str = "x-request-id";

/// What a request does on its way.
#[derive(Debug, Clone, Copy)]
enum Step {
    Yield,
    Sleep,
    Tag,
    Crumb,
    Capture,
    Child,
    Blocking,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Fine,
    Status,
    Panic,
    /// After the head is out.
    InBody,
    /// By the service's own error, which no handler of axum has.
    Error,
}

#[derive(Debug, Clone)]
struct Plan {
    steps: Vec<Step>,
    end: End,
}

impl Plan {
    /// How many events come of it.
    fn events(&self) -> usize {
        let captured = self.steps.iter().filter(|step| matches!(step, Step::Capture | Step::Child)).count();
        captured + usize::from(self.end != End::Fine)
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    use Step::{Blocking, Capture, Child, Crumb, Sleep, Tag, Yield};
    let step = prop::sample::select(vec![Yield, Yield, Sleep, Tag, Crumb, Capture, Child, Blocking]);
    let end = prop::sample::select(vec![End::Fine, End::Status, End::Panic, End::InBody, End::Error]);
    (prop::collection::vec(step, 1..12), end).prop_map(|(steps, end)| Plan { steps, end })
}

/// The trace of each request, as the request itself saw it.
type Traces = Arc<Mutex<HashMap<String, Option<TraceId>>>>;

/// What a request is sent with besides its head.
#[derive(Clone)]
struct Given {
    plan: Plan,
    traces: Traces,
}

fn id_of(request: &Request<Body>) -> String {
    request.headers()[ID].to_str().unwrap().to_owned()
}

fn capture(id: &str) {
    Report::message(id).severity(Severity::Warning).capture();
}

async fn take(step: Step, number: usize, id: String) {
    match step {
        Step::Yield => tokio::task::yield_now().await,
        Step::Sleep => tokio::time::sleep(Duration::from_micros(50)).await,
        Step::Tag => flame_on::set_tag(format!("t{number}"), id),
        Step::Crumb => flame_on::add_breadcrumb(Breadcrumb::new("step", id)),
        Step::Capture => capture(&id),
        Step::Child => {
            let child = async move {
                tokio::task::yield_now().await;
                flame_on::set_tag("child", &id);
                capture(&id);
            };
            tokio::spawn(child.with_error_context()).await.unwrap();
        }
        // A thread of the pool is nobody's.
        Step::Blocking => tokio::task::spawn_blocking(|| flame_on::set_user(User::id("leak"))).await.unwrap(),
    }
}

/// A body that fails after the head is out, as far as errors go.
fn failing_body(id: String) -> Body {
    Body::from_stream(futures::stream::once(async move {
        tokio::task::yield_now().await;
        capture(&id);
        Ok::<_, BoxError>("late")
    }))
}

/// What every request does, whoever serves it.
async fn work(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let id = id_of(&request);
    let Given { plan, traces } = request.extensions().get::<Given>().unwrap().clone();
    traces.lock().unwrap().insert(id.clone(), flame_on::current_trace_id());
    for (number, step) in plan.steps.into_iter().enumerate() {
        take(step, number, id.clone()).await;
    }
    match plan.end {
        End::Fine => Ok(Response::new(Body::from("fine"))),
        End::Status => Ok(StatusCode::BAD_GATEWAY.into_response()),
        End::Panic => panic!("{id}"),
        End::Error => Err(id.into()),
        End::InBody => Ok(Response::new(failing_body(id))),
    }
}

/// As a service does it: a middleware inside of the layer knows the user.
fn app(agent: &TestAgent) -> Router {
    Router::new()
        .route("/orders/{id}", get(|request: Request<Body>| async { work(request).await.unwrap() }))
        .layer(from_fn(|request: Request<Body>, next: Next| async move {
            flame_on::set_user(User::id(id_of(&request)));
            next.run(request).await
        }))
        .layer(agent.layer())
}

/// As a service does it that knows its user itself, and whose errors are no responses.
async fn plain(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    flame_on::set_user(User::id(id_of(&request)));
    tokio::task::yield_now().await;
    work(request).await
}

fn send(agent: &TestAgent, app: Router, request: Request<Body>, end: End) -> BoxFuture<'static, ()> {
    if end == End::Error {
        let call = agent.layer().layer(service_fn(plain)).oneshot(request);
        return call.map(|result| assert!(result.is_err())).boxed();
    }
    let whole = |response: Response<Body>| response.into_body().collect();
    // Whether the body is whole is not asked here.
    app.oneshot(request).map(Result::unwrap).then(whole).map(drop).boxed()
}

fn workers() -> Runtime {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(WORKER) {
                previous(info);
            }
        }));
    });
    Builder::new_multi_thread().worker_threads(4).thread_name(WORKER).enable_all().build().unwrap()
}

/// Serves all at once; gives the events, and the trace that each request had.
fn serve(plans: &[Plan]) -> (Vec<ErrorEvent>, HashMap<String, Option<TraceId>>) {
    let runtime = workers();
    let agent = TestAgent::with(|config| config.max_error_buffer_size(100_000)).unwrap();
    let (app, traces) = (app(&agent), Traces::default());
    let requests: Vec<_> = plans
        .iter()
        .enumerate()
        .map(|(id, plan)| {
            let given = Given { plan: plan.clone(), traces: traces.clone() };
            let request = Request::get(format!("/orders/{id}")).header(ID, id.to_string()).extension(given);
            runtime.spawn(send(&agent, app.clone(), request.body(Body::empty()).unwrap(), plan.end))
        })
        .collect();
    for (request, plan) in requests.into_iter().zip(plans) {
        assert_eq!(runtime.block_on(request).is_err(), plan.end == End::Panic);
    }
    let traces = std::mem::take(&mut *traces.lock().unwrap());
    (agent.errors_blocking(), traces)
}

/// Whose request an event tells of; everything else in it must be the same one's.
fn own_of(event: &ErrorEvent) -> String {
    let request = event.request.as_ref().unwrap_or_else(|| panic!("{event:#?}"));
    let own = request.headers.iter().find(|(name, _)| name == ID).map(|(_, value)| value.clone()).unwrap();
    assert_eq!(request.url, format!("/orders/{own}"), "{event:#?}");
    assert_eq!(event.user, Some(User::id(own.clone())), "{event:#?}");
    assert!(event.tags.values().all(|value| *value == own), "{event:#?}");
    assert!(event.breadcrumbs.iter().all(|crumb| crumb.message == own), "{event:#?}");
    assert!(event.message == own || event.message == "502 Bad Gateway", "{event:#?}");
    own
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_event_tells_of_another_request(plans in prop::collection::vec(plan(), REQUESTS)) {
        let (events, traces) = serve(&plans);
        let mut told: HashMap<String, usize> = HashMap::new();
        for event in &events {
            let own = own_of(event);
            prop_assert_eq!(event.trace_id, traces[&own], "{:#?}", event);
            *told.entry(own).or_default() += 1;
        }
        for (id, plan) in plans.iter().enumerate() {
            prop_assert_eq!(told.remove(&id.to_string()).unwrap_or(0), plan.events(), "{} {:?}", id, plan);
        }
    }
}
