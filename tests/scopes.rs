//! How a trace begins and ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{Kept, PATIENCE, UNIT, assert_ledger_closes, config, eventually, eventually_async};
use flame_on::testing::TestAgent;
use flame_on::{Capture, Decision, FlameOn, StartEvent, Stats, Trace, in_frame, metadata};
use futures::FutureExt as _;

fn agent() -> TestAgent {
    TestAgent::start().unwrap()
}

fn the_one(traces: Vec<Trace>) -> Trace {
    let [trace] = <[Trace; 1]>::try_from(traces).unwrap_or_else(|traces| panic!("{traces:?}"));
    trace
}

/// Of the counters that matter here: done, cancelled, stopped, panicked, truncated.
fn ends(stats: &Stats) -> [u64; 5] {
    [stats.done, stats.cancelled, stats.stopped, stats.panicked, stats.truncated]
}

#[test]
fn a_scope_that_never_ran_is_counted_and_not_shipped() {
    let agent = agent();
    drop(agent.unit("a", || "dropped"));
    agent.unit("a", || "finished").finish();
    // These are in the agent's hands before they end.
    let (dropped, finished) = (agent.unit("a", || "late"), agent.unit("a", || "later"));
    agent.flush_blocking(PATIENCE);
    drop(dropped);
    finished.finish();
    assert!(agent.traces_blocking().is_empty());
    eventually("all four are counted", || agent.stats().never_run == 4);
    assert_eq!(ends(&agent.stats()), [0; 5]);
    assert_ledger_closes(&agent);
}

#[tokio::test]
async fn a_cancelled_future_ends_its_trace() {
    let agent = agent();
    let mut traced = Box::pin(agent.unit("a", || "one").run(std::future::pending::<()>()));
    assert!(traced.as_mut().now_or_never().is_none());
    drop(traced);
    let trace = the_one(agent.traces().await);
    assert!(!trace.is_truncated());
    assert_eq!(ends(&agent.stats()), [0, 1, 0, 0, 0]);
    assert_ledger_closes(&agent);
}

#[tokio::test]
async fn a_stopper_elsewhere_ends_the_trace_while_its_task_sleeps() {
    let agent = agent();
    let scope = agent.unit("a", || "one");
    let stopper = scope.stopper();
    let (wake, woken) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(scope.run(async {
        woken.await.ok();
        7
    }));
    // On this test's one thread: the task runs until it waits.
    tokio::task::yield_now().await;
    std::thread::spawn(move || stopper.stop()).join().unwrap();
    // Shipped while the task still sleeps.
    let trace = the_one(agent.traces().await);
    assert_eq!(agent.active_traces(), 0);
    assert!(!trace.is_truncated());
    wake.send(()).unwrap();
    assert_eq!(task.await.unwrap(), 7);
    assert!(agent.traces().await.is_empty());
    assert_eq!(ends(&agent.stats()), [0, 0, 1, 0, 0]);
    assert_ledger_closes(&agent);
}

#[test]
fn a_stopper_inside_ends_the_trace_there() {
    let agent = agent();
    let scope = agent.unit("a", || "one");
    let stopper = scope.stopper();
    scope.in_scope(|| {
        in_frame("before", || std::hint::black_box(1));
        stopper.stop();
        stopper.stop();
        in_frame("after", || std::thread::sleep(Duration::from_millis(2)));
    });
    let trace = the_one(agent.traces_blocking());
    assert!(!trace.contains("after"), "{}", trace.collapsed());
    assert_eq!(ends(&agent.stats()), [0, 0, 1, 0, 0]);
    assert_ledger_closes(&agent);
}

#[test]
fn a_nested_scope_of_the_same_agent_is_a_frame_and_its_stop_ends_nothing() {
    let agent = agent();
    agent.unit("outer", || "one").in_scope(|| {
        let inner = agent.unit("inner", || -> String { panic!("asked for the identifier of a frame") });
        inner.stopper().stop();
        inner.in_scope(|| in_frame("leaf", || std::thread::sleep(Duration::from_millis(2))));
        // Short, for a sleep that is late would make `leaf` less than what is left out, 1 %.
        let began = std::time::Instant::now();
        in_frame("after", || while began.elapsed() < Duration::from_micros(20) {});
    });
    let trace = the_one(agent.traces_blocking());
    assert_eq!(trace.event_name(), "outer");
    assert!(trace.contains("inner") && trace.contains("leaf") && trace.contains("after"), "{}", trace.collapsed());
    assert_eq!(ends(&agent.stats()), [1, 0, 0, 0, 0]);
    assert_ledger_closes(&agent);
}

#[test]
fn a_traced_future_may_be_polled_by_another_thread_each_time() {
    let agent = agent();
    let mut polls = 0;
    let mut traced = Box::pin(agent.unit("a", || "one").run(std::future::poll_fn(move |_| {
        polls += 1;
        in_frame("step", || std::thread::sleep(Duration::from_millis(1)));
        if polls == 5 { Poll::Ready(polls) } else { Poll::Pending }
    })));
    let result = loop {
        let poll = std::thread::scope(|scope| {
            scope.spawn(|| traced.as_mut().poll(&mut Context::from_waker(Waker::noop()))).join().unwrap()
        });
        assert!(flame_on::current_trace_id().is_none());
        if let Poll::Ready(result) = poll {
            break result;
        }
    };
    assert_eq!(result, 5);
    let trace = the_one(agent.traces_blocking());
    assert!(trace.contains("step") && trace.contains("SLEEP"), "{}", trace.collapsed());
    assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration());
    assert_eq!(ends(&agent.stats()), [1, 0, 0, 0, 0]);
}

#[test]
fn a_panic_passes_on_and_leaves_the_thread_as_it_was() {
    let agent = agent();
    let mut traced = Box::pin(agent.unit("a", || "panics").run(async { panic!("boom") }));
    let mut poll = || catch_unwind(AssertUnwindSafe(|| traced.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
    assert_eq!(poll().unwrap_err().downcast_ref(), Some(&"boom"));
    assert!(flame_on::current_trace_id().is_none());
    // Nothing of the first trace is left in the thread: this one is a trace, not a frame.
    agent.unit("a", || "next").in_scope(|| in_frame("leaf", || std::thread::sleep(Duration::from_millis(2))));
    let traces = agent.traces_blocking();
    let mut identifiers: Vec<_> = traces.iter().map(|trace| trace.identifier().to_owned()).collect();
    identifiers.sort();
    assert_eq!(identifiers, ["next", "panics"]);
    assert_eq!(ends(&agent.stats()), [1, 0, 0, 1, 0]);
    assert_ledger_closes(&agent);
}

#[test]
fn a_panic_in_a_nested_trace_gives_the_outer_one_its_thread_back() {
    let (outer, inner) = (agent(), agent());
    outer.unit("outer", || "one").in_scope(|| {
        let id = flame_on::current_trace_id();
        let nested = || inner.unit("inner", || "two").in_scope(|| panic!("boom"));
        assert!(catch_unwind(AssertUnwindSafe(nested)).is_err());
        assert_eq!(flame_on::current_trace_id(), id);
        in_frame("after", || std::thread::sleep(Duration::from_millis(2)));
    });
    assert!(the_one(outer.traces_blocking()).contains("after"));
    assert_eq!(the_one(inner.traces_blocking()).event_name(), "inner");
    assert_eq!((ends(&outer.stats()), ends(&inner.stats())), ([1, 0, 0, 0, 0], [0, 0, 0, 1, 0]));
}

#[tokio::test]
async fn a_trace_that_lasts_too_long_is_cut_and_shipped_while_its_task_sleeps() {
    let agent = TestAgent::with(|builder| builder.max_trace_duration(Duration::from_secs(1))).unwrap();
    let (wake, woken) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(agent.unit("a", || "long").run(async {
        woken.await.ok();
        in_frame("after", || ());
    }));
    eventually_async("it is cut", || agent.stats().truncated == 1).await;
    let trace = the_one(agent.traces().await);
    assert!(trace.is_truncated());
    assert!(trace.duration() >= Duration::from_secs(1));
    assert_eq!(agent.active_traces(), 0);
    wake.send(()).unwrap();
    task.await.unwrap();
    assert!(agent.traces().await.is_empty());
    assert_eq!(ends(&agent.stats()), [0, 0, 0, 0, 1]);
    assert_ledger_closes(&agent);
}

#[test]
fn poll_with_traces_what_is_not_a_future() {
    let agent = agent();
    let mut scope = agent.unit("stream", || "one");
    let mut cx = Context::from_waker(Waker::noop());
    for item in 0..3 {
        let polled = scope.poll_with(&mut cx, |_| {
            in_frame("item", || {
                std::thread::sleep(Duration::from_millis(1));
                item
            })
        });
        assert_eq!(polled, item);
        assert!(flame_on::current_trace_id().is_none());
    }
    scope.finish();
    let trace = the_one(agent.traces_blocking());
    assert!(trace.contains("item") && trace.contains("SLEEP"), "{}", trace.collapsed());
    assert_eq!(ends(&agent.stats()), [1, 0, 0, 0, 0]);
    assert_ledger_closes(&agent);
}

#[test]
fn poll_with_goes_on_after_a_panic_of_the_poll() {
    let agent = agent();
    let mut scope = agent.unit("stream", || "one");
    let mut cx = Context::from_waker(Waker::noop());
    let poll = || scope.poll_with(&mut cx, |_| panic!("boom"));
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    assert_eq!(scope.poll_with(&mut cx, |_| 7), 7);
    assert!(!scope.is_sampled());
    scope.finish();
    assert_eq!(agent.traces_blocking().len(), 1);
    assert_eq!(ends(&agent.stats()), [0, 0, 0, 1, 0]);
}

#[test]
fn emit_ends_what_its_start_began_and_ignores_everything_else() {
    let handler = |event: &StartEvent<'_>| Decision::Capture(Capture::new(event.name().to_owned(), "one"));
    let agent = TestAgent::with(|builder| builder.handler_fn(handler)).unwrap();
    let collector = agent.collector();
    collector.event("a.job.start", || metadata! {}).in_scope(|| {
        for ignored in ["a.job", "a.job.start", "a.other.stop", "b.job.stop", ".stop", ""] {
            collector.emit(ignored);
        }
        assert_eq!((agent.stats().emit_ignored, agent.stats().stopped), (6, 0));
        collector.emit("a.job.stop");
        collector.emit("a.job.stop");
        in_frame("after", || std::thread::sleep(Duration::from_millis(2)));
    });
    collector.emit("a.job.stop");
    assert_eq!(agent.stats().emit_ignored, 8);
    assert!(!the_one(agent.traces_blocking()).contains("after"));
    assert_eq!(ends(&agent.stats()), [0, 0, 1, 0, 0]);
}

#[test]
fn emit_of_one_agent_does_not_end_the_trace_of_another() {
    let (one, other) = (agent(), agent());
    one.unit("a.job", || "one").in_scope(|| other.collector().emit("a.job.stop"));
    assert_eq!(one.traces_blocking().len(), 1);
    assert_eq!((ends(&one.stats()), other.stats().emit_ignored), ([1, 0, 0, 0, 0], 1));
}

#[test]
fn a_scope_that_its_thread_leaves_behind_is_ended_by_whoever_drops_it() {
    let kept = Kept::default();
    let guard = FlameOn::start(config(kept.clone()).build().unwrap()).unwrap();
    let (send, receive) = mpsc::channel();
    let agent = guard.handle();
    std::thread::spawn(move || {
        let mut traced = pin!(agent.unit(UNIT, || "one").run(std::future::pending::<()>()));
        assert!(traced.as_mut().now_or_never().is_none());
        send.send(agent.unit(UNIT, || "two")).unwrap();
    })
    .join()
    .unwrap();
    let moved = receive.recv().unwrap();
    moved.in_scope(|| std::hint::black_box(1));
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(kept.len(), 2);
    assert_eq!(ends(&guard.stats()), [1, 1, 0, 0, 0]);
    assert_ledger_closes(&guard);
}
