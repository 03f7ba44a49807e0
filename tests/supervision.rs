//! Actors that fail while the host works: what is kept, what is counted, and when the agent gives up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Blocking, Kept, PATIENCE, UNIT, assert_ledger_closes, assert_nothing_is_left, config, eventually, trace_one,
};
use flame_on::{FlameOn, FlameOnGuard, Scope, ShipperAdapter, TraceBatch, call_named};
use futures::FutureExt as _;

const CHILDREN: [&str; 5] = ["memory_watcher", "router", "shipper", "sessions", "collector"];

fn start(adapter: impl ShipperAdapter<TraceBatch>) -> FlameOnGuard {
    FlameOn::start(config(adapter).__restart_intensity(1_000).build().unwrap()).unwrap()
}

/// Kills a child and waits until its successor runs.
#[track_caller]
fn restart(agent: &FlameOn, child: &str) {
    let before = agent.stats().restarts;
    assert!(agent.__kill(child), "{child}");
    eventually("it is restarted", || agent.stats().restarts > before);
    // Restarted means started: the next one that is killed is the successor.
    eventually("the successor is there", || agent.flush_blocking(PATIENCE).within_deadline);
}

/// A scope in which work waits, known to a session of its own.
fn waiting(agent: &FlameOn, identifier: &'static str) -> impl Future<Output = ()> + use<> {
    let scope: Scope = agent.unit(UNIT, move || identifier);
    let mut traced = Box::pin(scope.run(std::future::pending::<()>()));
    assert!(traced.as_mut().now_or_never().is_none());
    agent.flush_blocking(PATIENCE);
    traced
}

#[test]
fn every_child_is_restarted_and_the_next_trace_is_shipped() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    for child in CHILDREN {
        restart(&guard, child);
        trace_one(&guard);
        assert!(guard.flush_blocking(PATIENCE).within_deadline, "{child}");
        assert_eq!(kept.take().len(), 1, "{child}");
    }
    assert_eq!((guard.stats().restarts, guard.stats().lost()), (5, 0));
    let agent = guard.handle();
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
    assert_nothing_is_left(&agent);
}

#[test]
fn a_new_collector_knows_the_sessions_of_its_predecessor() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let running = waiting(&guard, "running");
    restart(&guard, "collector");
    assert_eq!(guard.active_traces(), 1);
    drop(running);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((kept.take().len(), guard.stats().lost()), (1, 0));
    // At the shutdown as well: it is the Collector that has the running ones cut.
    let running = waiting(&guard, "until the shutdown");
    restart(&guard, "collector");
    let agent = guard.handle();
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
    drop(running);
    assert!(kept.take().iter().all(flame_on::Trace::is_truncated));
    assert_eq!(agent.stats().shipped, 2);
    assert_nothing_is_left(&agent);
}

#[test]
fn traces_admitted_while_the_collector_is_down_are_taken_up_by_the_next_one() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let running: Vec<_> = (0..10).map(|_| guard.unit(UNIT, || "one")).collect();
    assert!(guard.__kill("collector"));
    running.into_iter().for_each(|scope| scope.in_scope(|| ()));
    eventually("it is restarted", || guard.stats().restarts == 1);
    eventually("all are shipped", || {
        guard.flush_blocking(PATIENCE);
        guard.stats().shipped + guard.stats().lost() == 10
    });
    // One at most was in its hands.
    assert!(guard.stats().lost() <= 1, "{:?}", guard.stats());
    assert_ledger_closes(&guard);
}

#[test]
fn what_waits_in_the_outbox_is_shipped_by_the_next_shipper() {
    let kept = Kept::default();
    let (enter, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (enter, released, adapter) = (Mutex::new(enter), Mutex::new(released), kept.clone());
    let guard = start(Blocking(move |batch: &TraceBatch| {
        enter.lock().unwrap().send(()).unwrap();
        released.lock().unwrap().recv().ok();
        adapter.ship(batch, &flame_on::ShipContext::default()).now_or_never().unwrap()
    }));
    // The first batch is with the adapter, the second waits.
    trace_one(&guard);
    guard.flush_blocking(Duration::ZERO);
    eventually("it is finished", || {
        guard.flush_blocking(Duration::from_millis(10));
        entered.try_recv().is_ok()
    });
    trace_one(&guard);
    eventually("the second waits", || {
        guard.flush_blocking(Duration::from_millis(10));
        guard.stats().outbox_traces == 2
    });
    assert!(guard.__kill("shipper"));
    eventually("it is restarted", || guard.stats().restarts == 1);
    assert_eq!(guard.stats().outbox_traces, 2, "{:?}", guard.stats());
    drop(release);
    eventually("both are shipped", || guard.flush_blocking(PATIENCE).within_deadline && kept.len() == 2);
    assert_eq!((guard.stats().shipped, guard.stats().lost()), (2, 0));
    assert_ledger_closes(&guard);
}

#[test]
fn labels_outlive_the_router() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    let (answer, answered) = tokio::sync::oneshot::channel::<u8>();
    let call = async { call_named("postgres", &("query",), answered).await };
    let mut traced = Box::pin(guard.unit(UNIT, || "one").run(call));
    assert!(traced.as_mut().now_or_never().is_none());
    restart(&guard, "router");
    std::thread::sleep(Duration::from_millis(2));
    answer.send(7).unwrap();
    assert_eq!(traced.now_or_never(), Some(Ok(7)));
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    let trace = kept.wait_for_one();
    assert!(trace.contains("CALL postgres"), "{}", trace.collapsed());
    assert_eq!(guard.stats().calls_dropped, 0);
}

#[test]
fn sessions_that_end_with_their_supervisor_are_counted_and_free_their_permits() {
    let guard = start(Kept::default());
    let running: Vec<_> = (0..5).map(|_| waiting(&guard, "running")).collect();
    assert_eq!(guard.active_traces(), 5);
    restart(&guard, "sessions");
    eventually("the permits are free", || guard.active_traces() == 0);
    assert_eq!(guard.stats().session_ended_by_restart, 5);
    drop(running);
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(guard.stats().shipped, 1);
    assert_ledger_closes(&guard);
}

#[test]
fn a_session_that_is_killed_or_panics_loses_its_trace_and_no_other() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    for (lost, how) in [(1, "a_session"), (2, "a_session_panics")] {
        let victim = waiting(&guard, "victim");
        assert!(guard.__kill(how));
        eventually("it is counted", || guard.stats().session_crashed == lost);
        eventually("its permit is free", || guard.active_traces() == 0);
        // The work goes on, unrecorded.
        drop(victim);
        trace_one(&guard);
        assert!(guard.flush_blocking(PATIENCE).within_deadline);
        assert_eq!(kept.take().len(), 1);
    }
    assert_eq!((guard.stats().restarts, guard.stats().running), (0, true));
    assert!(!guard.__kill("a_session"), "none is alive");
    assert!(!guard.__kill("nobody"));
    assert_ledger_closes(&guard);
}

#[test]
fn a_session_that_is_lost_opens_its_dedupe_window_again() {
    let kept = Kept::default();
    let guard = FlameOn::start(config(kept.clone()).dedupe_enabled(true).build().unwrap()).unwrap();
    let victim = waiting(&guard, "endpoint");
    assert!(guard.__kill("a_session"));
    eventually("it is counted", || guard.stats().session_crashed == 1);
    drop(victim);
    guard.unit(UNIT, || "endpoint").in_scope(|| ());
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(kept.len(), 1);
}

#[test]
fn under_load_no_failure_of_any_actor_reaches_the_host_or_the_ledger() {
    let guard = start(Kept::default());
    let (stop, worked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(guard.unit(UNIT, || "load").in_scope(|| 7), 7);
                    worked.fetch_add(1, Ordering::Relaxed);
                    std::thread::yield_now();
                }
            });
        }
        for round in 0..4 {
            for actor in CHILDREN.into_iter().chain(["a_session", "a_session_panics"]) {
                let seen = worked.load(Ordering::Relaxed);
                // False while it is between two lives.
                guard.__kill(actor);
                eventually("the host works on", || worked.load(Ordering::Relaxed) > seen + 20);
            }
            assert!(guard.stats().running, "round {round}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(guard.stats().restarts > 0);
    eventually("it recovers", || guard.flush_blocking(PATIENCE).within_deadline && guard.active_traces() == 0);
    let before = guard.stats().shipped;
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(guard.stats().shipped, before + 1);
    assert_ledger_closes(&guard);
    let agent = guard.handle();
    guard.shutdown_blocking(PATIENCE);
    assert_nothing_is_left(&agent);
}

#[test]
fn an_outbox_that_nobody_empties_evicts_the_oldest_and_counts_it() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let adapter = Blocking(move |_: &TraceBatch| released.lock().unwrap().recv().or(Ok(())));
    let guard = FlameOn::start(config(adapter).max_buffer_size(2_usize).max_batch_size(1_usize).build().unwrap());
    let guard = guard.unwrap();
    for finished in 1..=5 {
        trace_one(&guard);
        // Before the next one: permits and finalisations are not what is to be short here.
        eventually("it is finished", || guard.stats().outbox_traces + guard.stats().evicted == finished);
    }
    let stats = guard.stats();
    assert_eq!((stats.outbox_traces, stats.evicted), (3, 2), "one with the adapter, two that wait: {stats:?}");
    drop(release);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((guard.stats().shipped, guard.stats().lost()), (3, 2));
    assert_ledger_closes(&guard);
}

#[cfg(target_os = "linux")]
#[test]
fn the_circuit_breaker_outlives_the_memory_watcher() {
    let builder = config(Kept::default()).memory_check_interval(Duration::from_millis(10));
    // Every process uses more than this.
    let guard =
        FlameOn::start(builder.max_memory_bytes(1_u64 << 20).__restart_intensity(100).build().unwrap()).unwrap();
    eventually("it trips", || guard.stats().breaker_open);
    restart(&guard, "memory_watcher");
    assert!(!guard.unit(UNIT, || "one").is_sampled());
    assert_eq!((guard.stats().skipped_breaker, guard.stats().breaker_trips), (1, 1));
    // The new one closes it again, and it is the same trip all the time.
    let mut settings = flame_on::Settings::default();
    settings.max_memory_bytes = Some(1 << 40);
    guard.reload(&settings).unwrap();
    eventually("it is armed again", || !guard.stats().breaker_open);
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((guard.stats().shipped, guard.stats().breaker_trips), (1, 1));
}

/// Counts the log lines that contain a text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_actor_that_fails_too_often_quiets_the_agent_and_not_the_host() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).init();
    let guard = FlameOn::start(config(Kept::default()).build().unwrap()).unwrap();
    let agent = guard.handle();
    let running = waiting(&guard, "running");
    let waiting_to_run = guard.unit(UNIT, || "never run");
    for failure in 1..=4 {
        eventually("it is there to be killed", || agent.__kill("shipper") || !agent.stats().running);
        // The intensity is 3 in 5 s; a machine this slow would never reach it.
        eventually("its end is seen", || agent.stats().restarts >= failure.min(3) || !agent.stats().running);
    }
    eventually("it is quiet", || {
        agent.__kill("shipper");
        !agent.stats().running
    });
    eventually("nothing is active", || agent.active_traces() == 0);
    assert_ledger_closes(&agent);
    let said = lines.0.lock().unwrap().iter().filter(|line| line.contains("FlameOn stops tracing")).count();
    assert_eq!(said, 1);
    // The host goes on.
    drop(running);
    assert_eq!(waiting_to_run.in_scope(|| 7), 7);
    assert_eq!(agent.unit(UNIT, || "late").in_scope(|| 8), 8);
    agent.flush_blocking(PATIENCE);
    guard.shutdown_blocking(PATIENCE);
    assert_nothing_is_left(&agent);
}

#[test]
fn an_agent_that_loses_its_supervisor_ends_and_counts_what_it_had() {
    let kept = Kept::default();
    let guard = start(kept);
    let agent = guard.handle();
    let running = waiting(&guard, "running");
    assert!(agent.__kill("supervisor"));
    eventually("it has ended", || !agent.stats().running);
    assert_nothing_is_left(&agent);
    assert_eq!(agent.stats().lost(), 1);
    drop(running);
    assert!(!agent.unit(UNIT, || "late").is_sampled());
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
}
