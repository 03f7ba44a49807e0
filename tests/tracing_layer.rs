//! The `tracing` layer through the whole agent, and beside the layers that a service has already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "tracing_layer/beside.rs"]
mod beside;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "tracing_layer/native.rs"]
mod native;

use std::sync::Mutex;
use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{ShipContext, ShipError, ShipperAdapter, Trace, TraceBatch};
use prost::Message as _;
use tracing::{Instrument as _, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

/// Seen beside what a busy machine adds: what is below half a percent of a trace is left out.
const A_WHILE: Duration = Duration::from_millis(5);

fn with_layer<R>(f: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(flame_on::tracing_layer()), f)
}

fn the_one(traces: Vec<Trace>) -> Trace {
    let [trace] = <[Trace; 1]>::try_from(traces).unwrap_or_else(|traces| panic!("{traces:?}"));
    trace
}

fn has_path(trace: &Trace, end: &str) -> bool {
    trace.paths().any(|(path, _)| path.ends_with(end))
}

#[instrument(skip_all, fields(secret = "hunter2"))]
async fn load(answer: tokio::sync::oneshot::Receiver<()>) {
    answer.await.unwrap();
    info_span!("shop::decode", secret = "hunter2").in_scope(|| std::thread::sleep(A_WHILE));
}

#[test]
fn a_trace_shows_spans_and_the_waits_in_them_with_their_source() {
    let agent = TestAgent::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    with_layer(|| {
        runtime.block_on(async {
            let (answer, answered) = tokio::sync::oneshot::channel();
            // From a task, which begins when the trace waits.
            tokio::spawn(async move {
                tokio::task::spawn_blocking(|| std::thread::sleep(A_WHILE)).await.unwrap();
                answer.send(()).unwrap();
            });
            agent.unit("shop.batch", || "nightly").run(load(answered)).await;
        });
    });
    let trace = the_one(agent.traces_blocking());
    assert!(has_path(&trace, "tracing_layer::load;SLEEP"), "{}", trace.collapsed());
    assert!(has_path(&trace, "tracing_layer::load;shop::decode"), "{}", trace.collapsed());
    assert!(!trace.collapsed().contains("hunter2"), "fields are no part of a name");
    assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration());

    let profile = flame_on::__server::profiles::Profile::decode(&*trace.pprof()).unwrap();
    let string = |index: i64| profile.string_table[usize::try_from(index).unwrap()].as_str();
    let load = profile.function.iter().find(|function| string(function.name) == "tracing_layer::load").unwrap();
    assert!(string(load.filename).ends_with("tests/tracing_layer.rs"), "{}", string(load.filename));
    let line = include_str!("tracing_layer.rs").lines().position(|line| line.starts_with("#[instrument(skip_all"));
    // Where exactly the macro says that it is, is the macro's.
    let lines = line.unwrap() as i64 + 1..line.unwrap() as i64 + 3;
    assert!(lines.contains(&load.start_line), "{} of {lines:?}", load.start_line);
    let location = profile.location.iter().find(|location| location.line[0].function_id == load.id).unwrap();
    assert_eq!(location.line[0].line, load.start_line);
}

#[test]
fn a_layer_that_was_there_first_serves_every_agent() {
    with_layer(|| {
        info_span!("before").in_scope(|| ());
        for identifier in ["one", "two"] {
            let agent = TestAgent::start().unwrap();
            let work = || info_span!("shop::work").in_scope(|| std::thread::sleep(A_WHILE));
            agent.unit("shop.batch", || identifier).in_scope(work);
            let trace = the_one(agent.traces_blocking());
            assert!(has_path(&trace, &format!("{identifier};shop::work")), "{}", trace.collapsed());
        }
    });
}

/// Opens spans while it ships, on a thread of the agent.
struct Spanning(Mutex<std::sync::mpsc::Sender<Trace>>);

impl ShipperAdapter<TraceBatch> for Spanning {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        with_layer(|| info_span!("ship::batch").in_scope(|| std::thread::sleep(A_WHILE)));
        let sender = self.0.lock().unwrap();
        batch.traces().iter().for_each(|trace| sender.send(trace.clone()).unwrap());
        Ok(())
    }
}

#[test]
fn the_agent_does_not_trace_its_own_spans() {
    let (sender, shipped) = std::sync::mpsc::channel();
    let agent = TestAgent::with(|config| config.shipper(Spanning(Mutex::new(sender)))).unwrap();
    for _ in 0..3 {
        with_layer(|| agent.unit("shop.batch", || "nightly").in_scope(|| std::thread::sleep(A_WHILE)));
        agent.flush_blocking(Duration::from_secs(30));
    }
    assert_eq!(agent.stats().started, 3);
    let shipped: Vec<Trace> = shipped.try_iter().collect();
    assert_eq!(shipped.len(), 3);
    assert!(shipped.iter().all(|trace| !trace.contains("ship::batch")));
}

#[test]
fn instrumented_tasks_on_many_threads_keep_their_time() {
    let agent = TestAgent::start().unwrap();
    let subscriber = tracing_subscriber::registry().with(flame_on::tracing_layer());
    let dispatch = tracing::Dispatch::new(subscriber);
    let installed = dispatch.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        // Each worker keeps the subscriber for its life; it is the process default in a service.
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&installed)))
        .build()
        .unwrap();
    let collector = agent.collector();
    let unit = move |number: usize| {
        let work = async move {
            let step = async |step: usize| {
                tokio::task::yield_now().await;
                // Outlives the trace, and holds its parent's span.
                tokio::spawn(tokio::task::yield_now().in_current_span());
                step
            };
            let steps = (0..5).map(|number| step(number).instrument(info_span!("step", number)));
            futures::future::join_all(steps).await;
            let never = std::future::pending::<usize>().instrument(info_span!("never"));
            tokio::select! {
                _ = never => {}
                _ = step(0).instrument(info_span!("last")) => {}
            }
        };
        collector.unit("shop.batch", || format!("batch {number}")).run(work.instrument(info_span!("batch")))
    };
    let all = async {
        let tasks: Vec<_> = (0..200).map(|number| tokio::spawn(unit(number))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    };
    tracing::dispatcher::with_default(&dispatch, || runtime.block_on(all));
    let traces = agent.traces_blocking();
    assert_eq!(traces.len(), 200);
    for trace in &traces {
        assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration());
    }
    assert!(traces.iter().any(|trace| has_path(trace, "tracing_layer::batch;tracing_layer::step")));
    assert_eq!(agent.stats().late_guards, 0);
}
