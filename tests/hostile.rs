//! The host's own code in the agent: it panics, hangs, blocks and fails, and neither the host nor the next trace notices.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::VecDeque;
use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Kept, PATIENCE, UNIT, assert_ledger_closes, assert_nothing_is_left, config, eventually, trace_one};
use flame_on::{
    Capture, Config, Decision, FlameOn, FlameOnGuard, ShipContext, ShipError, ShipperAdapter, StartEvent, Stats,
    TraceBatch, UnitSettings, call_named, metadata,
};
use futures::FutureExt as _;
use serde::{Serialize, Serializer};

/// Long enough for a healthy adapter on a slow machine, short enough to wait for. For tests that wait for it; the
/// others have the default of 10 s.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// What an adapter does with one batch.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Panic,
    PanicTwice,
    Hang,
    Retryable,
    Permanent,
}

/// Has its moods in turn, and is good after them.
struct Moody {
    moods: Mutex<VecDeque<Mood>>,
    kept: Kept,
}

impl Moody {
    fn new(kept: &Kept, moods: impl IntoIterator<Item = Mood>) -> Self {
        Self { moods: Mutex::new(moods.into_iter().collect()), kept: kept.clone() }
    }
}

impl ShipperAdapter<TraceBatch> for Moody {
    async fn ship(&self, batch: &TraceBatch, context: &ShipContext) -> Result<(), ShipError> {
        let mood = self.moods.lock().unwrap().pop_front();
        match mood {
            None => self.kept.ship(batch, context).await,
            Some(Mood::Panic) => panic!("the adapter's"),
            Some(Mood::PanicTwice) => panic_any(PanicsWhenDropped),
            Some(Mood::Hang) => std::future::pending().await,
            Some(Mood::Retryable) => Err(ShipError::retryable("later")),
            Some(Mood::Permanent) => Err(ShipError::permanent("never")),
        }
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic_any(PanicsOnceMore);
    }
}

struct PanicsOnceMore;

impl Drop for PanicsOnceMore {
    fn drop(&mut self) {
        panic!("the payload's payload");
    }
}

fn start(adapter: impl ShipperAdapter<TraceBatch>) -> FlameOnGuard {
    FlameOn::start(config(adapter).build().unwrap()).unwrap()
}

fn start_impatient(adapter: impl ShipperAdapter<TraceBatch>) -> FlameOnGuard {
    FlameOn::start(config(adapter).send_timeout(SEND_TIMEOUT).build().unwrap()).unwrap()
}

/// One bad batch, then a good one, with what is counted for the bad one.
#[track_caller]
fn survives(mood: Mood, counted: impl Fn(&Stats) -> u64) {
    let kept = Kept::default();
    let adapter = Moody::new(&kept, [mood]);
    let guard = start(adapter);
    trace_one(&guard);
    guard.flush_blocking(PATIENCE);
    let stats = guard.stats();
    assert_eq!((counted(&stats), stats.lost(), stats.shipped), (1, 1, 0), "{stats:?}");
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((kept.len(), guard.stats().lost()), (1, 1));
    assert_ledger_closes(&guard);
    let agent = guard.handle();
    assert!(guard.shutdown_blocking(PATIENCE).within_deadline);
    assert_nothing_is_left(&agent);
}

#[test]
fn an_adapter_may_panic() {
    survives(Mood::Panic, |stats| stats.adapter_panics);
    survives(Mood::Panic, |stats| stats.send_failed);
}

#[test]
fn the_payload_of_its_panic_may_panic_when_dropped() {
    survives(Mood::PanicTwice, |stats| stats.adapter_panics);
}

/// One batch that fails at first: it arrives all the same, with the next flush at the latest.
#[track_caller]
fn recovers(mood: Mood) {
    let kept = Kept::default();
    let guard = start_impatient(Moody::new(&kept, [mood]));
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    let stats = guard.stats();
    assert_eq!((kept.len(), stats.shipped, stats.lost(), stats.trace_queue.retried), (1, 1, 0, 1), "{stats:?}");
    assert_ledger_closes(&guard);
}

#[test]
fn an_adapter_may_hang() {
    recovers(Mood::Hang);
}

#[test]
fn an_adapter_may_fail() {
    recovers(Mood::Retryable);
    survives(Mood::Permanent, |stats| stats.rejected);
}

#[test]
fn an_adapter_may_fail_for_ever() {
    for (mood, counted) in
        [(Mood::Panic, (|stats| stats.adapter_panics) as fn(&Stats) -> u64), (Mood::Permanent, |stats| stats.rejected)]
    {
        let guard = start(Moody::new(&Kept::default(), std::iter::repeat_n(mood, 1_000)));
        for done in 1..=20 {
            trace_one(&guard);
            guard.flush_blocking(PATIENCE);
            assert_eq!((counted(&guard.stats()), guard.stats().lost()), (done, done));
        }
        assert_eq!((guard.active_traces(), guard.stats().running), (0, true));
        let agent = guard.handle();
        guard.shutdown_blocking(PATIENCE);
        assert_nothing_is_left(&agent);
    }
}

#[test]
fn what_an_adapter_never_takes_waits_and_is_counted_at_the_end() {
    let guard = start(Moody::new(&Kept::default(), std::iter::repeat_n(Mood::Retryable, 1_000)));
    for waiting in 1..=20 {
        trace_one(&guard);
        guard.flush_blocking(Duration::from_millis(10));
        eventually("it waits", || guard.stats().outbox_traces == waiting && guard.active_traces() == 0);
        assert_eq!((guard.stats().lost(), guard.stats().running), (0, true));
    }
    let agent = guard.handle();
    let report = guard.shutdown_blocking(Duration::from_millis(500));
    assert_eq!((report.lost, report.within_deadline, agent.stats().lost_at_shutdown), (20, false, 20));
    assert_nothing_is_left(&agent);
}

/// Blocks its thread for as long as the test has the sender.
struct BlockingForEver {
    calls: Arc<AtomicUsize>,
    until: Mutex<mpsc::Receiver<()>>,
}

impl ShipperAdapter<TraceBatch> for BlockingForEver {
    async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // One waits here, the other for the lock: blocked either way.
        self.until.lock().unwrap().recv().ok();
        Ok(())
    }
}

#[test]
fn an_adapter_that_blocks_two_threads_for_ever_is_not_called_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (release, until) = mpsc::channel();
    let guard = start_impatient(BlockingForEver { calls: calls.clone(), until: Mutex::new(until) });
    for done in 1..=4 {
        trace_one(&guard);
        guard.flush_blocking(PATIENCE);
        eventually("it is counted", || guard.stats().send_failed == done);
    }
    let stats = guard.stats();
    assert_eq!((calls.load(Ordering::SeqCst), stats.adapter_abandoned, stats.shipped), (2, 2, 0));
    assert_ledger_closes(&guard);
    // The host is traced all the same, and the end does not wait for the two.
    let agent = guard.handle();
    assert!(agent.unit(UNIT, || "next").is_sampled());
    let before = Instant::now();
    guard.shutdown_blocking(Duration::from_secs(1));
    assert!(before.elapsed() < PATIENCE);
    assert_nothing_is_left(&agent);
    drop(release);
}

#[test]
fn an_adapter_that_comes_back_from_blocking_is_called_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (release, until) = mpsc::channel();
    let guard = start_impatient(BlockingForEver { calls: calls.clone(), until: Mutex::new(until) });
    for done in 1..=2 {
        trace_one(&guard);
        guard.flush_blocking(PATIENCE);
        eventually("it is abandoned", || guard.stats().adapter_abandoned == done);
    }
    drop(release);
    eventually("a trace is shipped", || {
        trace_one(&guard);
        guard.flush_blocking(PATIENCE);
        guard.stats().shipped > 0
    });
    assert_ledger_closes(&guard);
}

#[test]
fn an_adapter_may_panic_hang_or_block_when_it_is_closed() {
    enum Close {
        Panic,
        Hang,
        Block(Mutex<mpsc::Receiver<()>>),
    }
    struct Closing(Close);
    impl ShipperAdapter<TraceBatch> for Closing {
        async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
            Ok(())
        }
        async fn close(&self) {
            match &self.0 {
                Close::Panic => panic!("at the end"),
                Close::Hang => std::future::pending().await,
                Close::Block(until) => until.lock().unwrap().recv().unwrap_or_default(),
            }
        }
    }
    let (release, until) = mpsc::channel();
    for close in [Close::Panic, Close::Hang, Close::Block(Mutex::new(until))] {
        let guard = start(Closing(close));
        let agent = guard.handle();
        trace_one(&agent);
        // What was to be shipped was shipped; only the close was not waited for.
        assert_eq!(guard.shutdown_blocking(PATIENCE).shipped, 1);
        assert_nothing_is_left(&agent);
    }
    drop(release);
}

/// Captures what it is asked about, and panics about events that say so.
fn panicky(event: &StartEvent<'_>) -> Decision {
    match event.str("panic") {
        Some("once") => panic!("the handler's"),
        Some("twice") => panic_any(PanicsWhenDropped),
        _ => Decision::Capture(Capture::new(UNIT, "good")),
    }
}

fn with_handler(kept: &Kept) -> FlameOnGuard {
    let zero = UnitSettings::new().threshold(Duration::ZERO);
    FlameOn::start(config(kept.clone()).handler_fn(panicky).event("an.event", zero).build().unwrap()).unwrap()
}

/// The agent has refused `refused` and traces the next one.
#[track_caller]
fn refused_and_goes_on(guard: &FlameOn, kept: &Kept, refused: u64) {
    assert_eq!((guard.stats().handler_panics, guard.stats().started), (refused, 0));
    assert!(flame_on::current_trace_id().is_none());
    let worked = guard.event("an.event.start", || metadata! {}).in_scope(|| 7);
    assert_eq!(worked, 7);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((kept.len(), guard.active_traces()), (1, 0));
    assert_ledger_closes(guard);
}

#[test]
fn a_handler_may_panic_and_so_may_its_payload() {
    let kept = Kept::default();
    let guard = with_handler(&kept);
    for how in ["once", "twice"] {
        let scope = guard.event("an.event.start", || metadata! { "panic" => how });
        assert!(!scope.is_sampled());
        assert_eq!(scope.in_scope(|| 7), 7);
    }
    refused_and_goes_on(&guard, &kept, 2);
}

#[test]
fn metadata_and_identifiers_may_panic() {
    let kept = Kept::default();
    let guard = with_handler(&kept);
    let scopes = [
        guard.event("an.event.start", || panic!("the metadata's")),
        guard.event("an.event.start", || panic_any(PanicsWhenDropped)),
        guard.unit(UNIT, || -> String { panic!("the identifier's") }),
        guard.unit(UNIT, || -> String { panic_any(PanicsWhenDropped) }),
    ];
    for scope in scopes {
        assert!(!scope.is_sampled());
        assert_eq!(scope.in_scope(|| 7), 7);
    }
    refused_and_goes_on(&guard, &kept, 4);
}

/// Panics when it is serialized.
struct Unserializable(bool);

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        if self.0 { panic!("the form's") } else { panic_any(PanicsWhenDropped) }
    }
}

#[test]
fn the_form_of_a_call_may_panic() {
    let kept = Kept::default();
    let guard = start(kept.clone());
    for is_simple in [true, false] {
        let call = async { call_named("postgres", &Unserializable(is_simple), async { 7 }).await };
        assert_eq!(guard.unit(UNIT, || "one").run(call).now_or_never(), Some(7));
        assert!(guard.flush_blocking(PATIENCE).within_deadline);
        assert_eq!(kept.take().len(), 1);
    }
    assert_eq!((guard.stats().done, guard.stats().panicked), (2, 0));
    assert_ledger_closes(&guard);
}

#[test]
fn a_handler_may_use_the_agent_that_asks_it() {
    let place: Arc<Mutex<Option<FlameOn>>> = Arc::default();
    let asked = place.clone();
    let handler = move |event: &StartEvent<'_>| {
        if event.name() == "outer.start" {
            let agent = asked.lock().unwrap().clone().unwrap();
            agent.event("inner.start", || metadata! {}).in_scope(|| ());
            agent.flush_blocking(Duration::from_millis(1));
        }
        Decision::Capture(Capture::new(UNIT, event.name().to_owned()).threshold(Duration::ZERO))
    };
    let kept = Kept::default();
    let guard = FlameOn::start(config(kept.clone()).handler_fn(handler).build().unwrap()).unwrap();
    *place.lock().unwrap() = Some(guard.handle());
    guard.event("outer.start", || metadata! {}).in_scope(|| ());
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(kept.len(), 2);
    assert_ledger_closes(&guard);
    drop(place.lock().unwrap().take());
}

#[test]
fn an_adapter_does_not_trace_the_agent_by_itself() {
    struct Tracing(Arc<Mutex<Option<FlameOn>>>, Arc<AtomicUsize>);
    impl ShipperAdapter<TraceBatch> for Tracing {
        async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
            let agent = self.0.lock().unwrap().clone().unwrap();
            let is_sampled = agent.unit(UNIT, || "of the adapter").is_sampled();
            self.1.fetch_add(1 + usize::from(is_sampled), Ordering::SeqCst);
            Ok(())
        }
    }
    let (place, sampled) = (Arc::default(), Arc::default());
    let guard = start(Tracing(Arc::clone(&place), Arc::clone(&sampled)));
    *place.lock().unwrap() = Some(guard.handle());
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(sampled.load(Ordering::SeqCst), 1);
    drop(place.lock().unwrap().take());
}

#[test]
fn an_agent_that_cannot_start_says_why_and_leaves_the_host_alone() {
    let wrong = Config::builder().ignore_env().capture(true).sample_rate(7.0).function_length_threshold(0.0).build();
    assert_eq!(wrong.unwrap_err().problems().len(), 2);
}
