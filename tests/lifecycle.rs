//! An agent's start and end, wherever they happen.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{
    Blocking, Kept, PATIENCE, UNIT, assert_ledger_closes, assert_nothing_is_left, config, eventually, trace_one,
};
use flame_on::{
    Config, Decision, FlameOn, FlameOnGuard, ShipContext, ShipError, ShipperAdapter, StartEvent, TraceBatch,
};
use tokio::runtime::{Builder, Runtime};

fn start(adapter: impl ShipperAdapter<TraceBatch>) -> FlameOnGuard {
    FlameOn::start(config(adapter).build().unwrap()).unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Never completes, and holds no thread.
struct Hanging;

impl ShipperAdapter<TraceBatch> for Hanging {
    async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        std::future::pending().await
    }
}

/// Starts, traces, and shuts down where it is called.
async fn live_once() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let agent = guard.handle();
    agent.unit(UNIT, || "one").run(tokio::task::yield_now()).await;
    let report = guard.shutdown(PATIENCE).await;
    assert!(report.within_deadline);
    assert_eq!((report.shipped, report.lost, kept.len()), (1, 0, 1));
    assert_nothing_is_left(&agent);
}

#[test]
fn it_lives_outside_of_any_runtime() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let agent = guard.handle();
    assert!(agent.stats().running);
    trace_one(&agent);
    let report = guard.shutdown_blocking(PATIENCE);
    assert!(report.within_deadline);
    assert_eq!((report.shipped, report.lost, kept.len()), (1, 0, 1));
    assert_nothing_is_left(&agent);
}

#[test]
fn its_futures_need_no_tokio_runtime() {
    futures::executor::block_on(async {
        let kept = Kept::default();
        let guard = start(kept.clone());
        guard.unit(UNIT, || "one").run(async {}).await;
        assert!(guard.flush(PATIENCE).await.within_deadline);
        assert_eq!(kept.len(), 1);
        assert!(guard.shutdown(PATIENCE).await.within_deadline);
    });
}

#[test]
fn it_lives_inside_every_kind_of_runtime() {
    current_thread().block_on(live_once());
    multi_thread().block_on(live_once());
    multi_thread().block_on(async { tokio::spawn(live_once()).await.unwrap() });
    current_thread().block_on(tokio::task::LocalSet::new().run_until(live_once()));
    // Without time and I/O, which the agent has of its own.
    Builder::new_current_thread().build().unwrap().block_on(live_once());
}

#[test]
fn it_starts_on_a_blocking_thread_and_outlives_that_runtime() {
    let kept = Kept::default();
    let runtime = multi_thread();
    let adapter = kept.clone();
    let guard = runtime.block_on(async { tokio::task::spawn_blocking(|| start(adapter)).await.unwrap() });
    drop(runtime);
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(kept.len(), 1);
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
}

#[test]
fn dropped_outside_of_a_runtime_it_ships_what_is_left() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let agent = guard.handle();
    trace_one(&agent);
    drop(guard);
    assert_eq!(kept.len(), 1);
    assert_nothing_is_left(&agent);
}

#[test]
fn dropped_outside_of_a_runtime_it_does_not_wait_for_a_hanging_adapter_for_ever() {
    let guard = start(Hanging);
    let agent = guard.handle();
    trace_one(&agent);
    drop(guard);
    assert_nothing_is_left(&agent);
    assert_eq!(agent.stats().lost_at_shutdown, 1);
}

#[test]
fn dropped_inside_a_runtime_it_only_signals() {
    current_thread().block_on(async {
        let (ship, may_ship) = mpsc::channel::<()>();
        let may_ship = Mutex::new(may_ship);
        let guard = start(Blocking(move |_: &TraceBatch| may_ship.lock().unwrap().recv().or(Ok(()))));
        let agent = guard.handle();
        trace_one(&agent);
        // Nothing can be shipped before the next line: a drop that waited would wait until the trace is lost.
        drop(guard);
        drop(ship);
        assert_nothing_is_left(&agent);
        assert_eq!(agent.stats().shipped, 1);
    });
}

#[test]
fn dropped_on_a_thread_of_the_agent_it_does_not_wait_for_itself() {
    let place: Arc<Mutex<Option<FlameOnGuard>>> = Arc::default();
    let (dropped, is_dropped) = mpsc::channel();
    let (owner, dropped) = (place.clone(), Mutex::new(dropped));
    let guard = start(Blocking(move |_: &TraceBatch| {
        drop(owner.lock().unwrap().take());
        dropped.lock().unwrap().send(()).unwrap();
        Ok(())
    }));
    let agent = guard.handle();
    *place.lock().unwrap() = Some(guard);
    trace_one(&agent);
    agent.flush_blocking(PATIENCE);
    is_dropped.recv_timeout(PATIENCE).unwrap();
    assert_nothing_is_left(&agent);
    assert_eq!(agent.stats().shipped, 1);
}

#[test]
fn dropped_by_a_handler_it_ends_and_the_work_goes_on() {
    let place: Arc<Mutex<Option<FlameOnGuard>>> = Arc::default();
    let owner = place.clone();
    let handler = move |_: &StartEvent<'_>| {
        drop(owner.lock().unwrap().take());
        Decision::Skip
    };
    let guard = FlameOn::start(config(Kept::default()).handler_fn(handler).build().unwrap()).unwrap();
    let agent = guard.handle();
    *place.lock().unwrap() = Some(guard);
    let worked = agent.event("any.event.start", || flame_on::metadata! {}).in_scope(|| 7);
    assert_eq!(worked, 7);
    assert_nothing_is_left(&agent);
}

#[test]
fn dropped_while_a_panic_unwinds_it_ends_and_the_panic_passes_on() {
    let kept = Kept::default();
    let adapter = kept.clone();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let guard = start(adapter);
        guard.unit(UNIT, || "one").in_scope(|| panic!("the host's own"));
    }));
    assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"the host's own"));
    assert_eq!(kept.len(), 1);
}

#[test]
fn after_the_end_a_handle_does_nothing() {
    let guard = start(Kept::default());
    let (agent, collector) = (guard.handle(), guard.collector());
    guard.shutdown_blocking(PATIENCE);
    let before = agent.stats();
    assert!(!agent.unit(UNIT, || "late").is_sampled());
    assert!(!collector.unit(UNIT, || "late").is_sampled());
    agent.resume();
    assert!(!agent.unit(UNIT, || "resumed").is_sampled());
    let report = agent.flush_blocking(PATIENCE);
    assert_eq!((report.shipped, report.lost, report.within_deadline), (0, 0, true));
    agent.set_sample_rate(0.5).unwrap();
    assert_eq!(agent.stats(), before);
    assert_nothing_is_left(&agent);
}

#[test]
fn a_disabled_guard_does_nothing() {
    let guard = FlameOnGuard::disabled();
    assert!(!guard.unit(UNIT, || "one").is_sampled());
    assert_eq!(guard.stats().started, 0);
    assert!(guard.shutdown_blocking(Duration::ZERO).within_deadline);
}

#[test]
fn a_shutdown_without_time_stops_at_once_and_counts_what_is_lost() {
    let guard = start(Hanging);
    let agent = guard.handle();
    let running = agent.unit(UNIT, || "running");
    trace_one(&agent);
    let report = guard.shutdown_blocking(Duration::ZERO);
    drop(running);
    assert_eq!(report.shipped, 0);
    assert_nothing_is_left(&agent);
    assert_eq!(agent.stats().lost(), 2);
}

#[test]
fn a_deadline_that_passes_is_reported() {
    let guard = start(Hanging);
    let agent = guard.handle();
    trace_one(&agent);
    assert!(!agent.flush_blocking(Duration::from_millis(100)).within_deadline);
    eventually("it is with the adapter", || agent.stats().outbox_traces == 1);
    assert_ledger_closes(&agent);
    let report = guard.shutdown_blocking(Duration::from_millis(100));
    assert_eq!((report.shipped, report.lost, report.within_deadline), (0, 1, false));
    assert_nothing_is_left(&agent);
}

#[test]
fn a_flush_and_the_shutdown_may_overlap_and_both_return() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let agent = guard.handle();
    trace_one(&agent);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| agent.flush_blocking(PATIENCE));
        }
        scope.spawn(|| guard.shutdown_blocking(PATIENCE));
    });
    assert_eq!(kept.len(), 1);
    assert_nothing_is_left(&agent);
}

#[test]
fn traces_that_run_at_the_shutdown_are_finished_as_they_stand() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let agent = guard.handle();
    let runtime = multi_thread();
    let (running, is_running) = mpsc::channel();
    for task in 0..5 {
        let (scope, running) = (agent.unit(UNIT, || format!("task {task}")), running.clone());
        runtime.spawn(scope.run(async move {
            running.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
    }
    // What has not run yet would be discarded.
    for _ in 0..5 {
        is_running.recv_timeout(PATIENCE).unwrap();
    }
    let report = guard.shutdown_blocking(PATIENCE);
    assert!(report.within_deadline);
    let traces = kept.take();
    assert_eq!(traces.len() as u64, report.shipped);
    assert_eq!(traces.len(), 5);
    assert!(traces.iter().all(flame_on::Trace::is_truncated));
    assert_nothing_is_left(&agent);
    drop(runtime);
    assert_ledger_closes(&agent);
}

#[test]
fn a_host_runtime_that_is_shut_down_cancels_its_traces() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let runtime = multi_thread();
    let (running, is_running) = mpsc::channel();
    for task in 0..5 {
        let (scope, running) = (guard.unit(UNIT, || format!("task {task}")), running.clone());
        runtime.spawn(scope.run(async move {
            running.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
    }
    for _ in 0..5 {
        is_running.recv_timeout(PATIENCE).unwrap();
    }
    runtime.shutdown_timeout(PATIENCE);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((kept.len(), guard.stats().cancelled), (5, 5));
    let agent = guard.handle();
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
    assert_nothing_is_left(&agent);
}

#[test]
fn with_capture_off_it_runs_and_takes_nothing() {
    let builder = Config::builder().ignore_env().process_default(false).sample_rate(1.0).shipper(Kept::default());
    let guard = FlameOn::start(builder.build().unwrap()).unwrap();
    assert!(!guard.unit(UNIT, || "one").is_sampled());
    guard.resume();
    assert!(!guard.unit(UNIT, || "two").is_sampled());
    assert_eq!((guard.stats().started, guard.stats().running), (0, false));
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
}

#[test]
fn the_adapter_is_closed_once_and_after_the_last_batch() {
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<&'static str>>>);
    impl ShipperAdapter<TraceBatch> for Logged {
        async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
            self.0.lock().unwrap().push("ship");
            Ok(())
        }
        async fn close(&self) {
            self.0.lock().unwrap().push("close");
        }
    }
    let logged = Logged::default();
    let guard = start(logged.clone());
    trace_one(&guard);
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
    assert_eq!(*logged.0.lock().unwrap(), ["ship", "close"]);
}

#[test]
fn an_adapter_that_blocks_the_threads_of_the_agent_does_not_keep_the_shutdown() {
    // Against the rules: it blocks the agent's own thread, by a task that it spawns there.
    struct Rude(Arc<Mutex<mpsc::Receiver<()>>>);
    impl ShipperAdapter<TraceBatch> for Rude {
        async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
            let until = self.0.clone();
            tokio::spawn(async move { until.lock().unwrap().recv().ok() });
            Ok(())
        }
    }
    let (release, until) = mpsc::channel();
    let guard = start(Rude(Arc::new(Mutex::new(until))));
    let agent = guard.handle();
    trace_one(&agent);
    agent.flush_blocking(Duration::from_millis(100));
    let report = futures::executor::block_on(guard.shutdown(Duration::from_millis(100)));
    assert!(!report.within_deadline);
    drop(release);
    eventually("it stops when it is let", || !agent.stats().running);
    assert_nothing_is_left(&agent);
}
