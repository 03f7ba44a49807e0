//! Several agents in one process, what can be changed while one runs, and which one is the current one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Kept, PATIENCE, UNIT, assert_ledger_closes, config, eventually, trace_one};
use flame_on::testing::TestAgent;
use flame_on::{Config, FlameOn, FlameOnGuard, Settings, UnitSettings, in_frame, metadata};
use futures::FutureExt as _;

fn start(builder: flame_on::ConfigBuilder) -> FlameOnGuard {
    FlameOn::start(builder.build().unwrap()).unwrap()
}

fn settings(write: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    write(&mut settings);
    settings
}

#[test]
fn two_agents_have_their_own_configuration_traces_and_end() {
    let (kept, other_kept) = (Kept::default(), Kept::default());
    let all = start(config(kept.clone()).service("all"));
    let none = start(config(other_kept.clone()).service("none").sample_rate(0.0).max_active_traces(1_usize));
    for _ in 0..5 {
        trace_one(&all);
        trace_one(&none);
    }
    assert!(all.flush_blocking(PATIENCE).within_deadline && none.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((all.config().service(), none.config().service()), ("all", "none"));
    assert_eq!((all.stats().shipped, all.stats().sampled_out), (5, 0));
    assert_eq!((none.stats().started, none.stats().sampled_out), (0, 5));
    // The end of one is not the end of the other.
    all.shutdown_blocking(PATIENCE);
    none.set_sample_rate(1.0).unwrap();
    trace_one(&none);
    assert!(none.shutdown_blocking(PATIENCE).within_deadline);
    assert_eq!((kept.len(), other_kept.len()), (5, 1));
}

#[test]
fn a_scope_inside_the_trace_of_another_agent_is_a_trace_of_its_own() {
    let (outer, inner) = (TestAgent::start().unwrap(), TestAgent::start().unwrap());
    outer.unit("outer", || "one").in_scope(|| {
        let id = flame_on::current_trace_id();
        let stopper = inner.unit("inner", || "two").in_scope(|| {
            assert_ne!(flame_on::current_trace_id(), id);
            in_frame("inside", || std::thread::sleep(Duration::from_millis(2)));
            let nested = inner.unit("nested", || "three");
            let stopper = nested.stopper();
            nested.in_scope(|| ());
            stopper
        });
        stopper.stop();
        assert_eq!(flame_on::current_trace_id(), id);
        in_frame("after", || std::thread::sleep(Duration::from_millis(2)));
    });
    let (outer_traces, inner_traces) = (outer.traces_blocking(), inner.traces_blocking());
    assert_eq!((outer_traces.len(), inner_traces.len()), (1, 1));
    let (of_outer, of_inner) = (outer_traces.first().unwrap(), inner_traces.first().unwrap());
    assert!(of_outer.contains("after") && !of_outer.contains("inside"), "{}", of_outer.collapsed());
    assert!(of_inner.contains("inside") && !of_inner.contains("after"), "{}", of_inner.collapsed());
    assert_eq!((outer.stats().done, inner.stats().done), (1, 1));
    assert_ledger_closes(&outer);
    assert_ledger_closes(&inner);
}

/// The only test here that starts agents which may be the process default.
#[test]
fn the_current_agent_is_that_of_the_trace_then_of_the_context_then_the_process_default() {
    let service = || FlameOn::current().config().service().to_owned();
    let named = |name: &str| config(Kept::default()).service(name);
    assert_eq!(service(), "unknown");
    let never = start(named("never"));
    assert_eq!(service(), "unknown");
    let first = start(named("first").process_default(true));
    let second = start(named("second").process_default(true));
    assert_eq!(service(), "first");
    second.in_context(|| {
        assert_eq!(service(), "second");
        never.in_context(|| assert_eq!(service(), "never"));
        assert_eq!(service(), "second");
        first.unit(UNIT, || "one").in_scope(|| assert_eq!(service(), "first"));
    });
    never.unit(UNIT, || "one").in_scope(|| assert_eq!(service(), "never"));
    assert_eq!(service(), "first");
    assert_eq!(std::thread::spawn(service).join().unwrap(), "first");
    // An agent that has stopped keeps the place only until another one may have it.
    first.shutdown_blocking(PATIENCE);
    assert!(!FlameOn::current().stats().running);
    let third = start(named("third").process_default(true));
    assert_eq!(FlameOn::current().config().service(), "third");
    drop((second, third, never));
}

#[test]
fn a_context_ends_with_a_panic_in_it() {
    let agent = TestAgent::start().unwrap();
    let entered = || agent.in_context(|| panic!("boom"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(entered)).is_err());
    agent.set_sample_rate(0.25).unwrap();
    assert!((FlameOn::current().sample_rate() - 0.25).abs() > f64::EPSILON);
    assert!((agent.in_context(|| FlameOn::current().sample_rate()) - 0.25).abs() < f64::EPSILON);
}

#[test]
fn a_pause_refuses_new_traces_and_lets_running_ones_go_on() {
    let agent = TestAgent::start().unwrap();
    let mut running = Box::pin(agent.unit("a", || "running").run(std::future::pending::<()>()));
    assert!(running.as_mut().now_or_never().is_none());
    agent.pause();
    agent.pause();
    assert!(!agent.stats().running);
    assert!(!agent.unit("a", || "paused").is_sampled());
    assert!(!agent.event("phoenix.router_dispatch.start", || metadata! {}).is_sampled());
    drop(running);
    assert_eq!(agent.traces_blocking().len(), 1);
    agent.resume();
    assert!(agent.stats().running);
    agent.unit("a", || "resumed").in_scope(|| ());
    assert_eq!(agent.traces_blocking().len(), 1);
}

#[test]
fn rates_change_at_once_and_an_event_of_its_own_rate_keeps_it() {
    let agent = TestAgent::start().unwrap();
    let is_sampled = |name: &'static str| agent.unit(name, || "one").is_sampled();
    agent.set_event_sample_rate("own", 1.0).unwrap();
    agent.set_sample_rate(0.0).unwrap();
    assert_eq!((is_sampled("any"), is_sampled("own")), (false, true));
    agent.set_event_sample_rate("own", 0.0).unwrap();
    agent.set_sample_rate(1.0).unwrap();
    assert_eq!((is_sampled("any"), is_sampled("own")), (true, false));
    assert_eq!(agent.stats().sampled_out, 2);
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(agent.set_sample_rate(wrong).is_err());
        assert!(agent.set_event_sample_rate("own", wrong).is_err());
    }
    assert!((agent.sample_rate() - 1.0).abs() < f64::EPSILON);
    assert_ledger_closes(&agent);
}

#[test]
fn thresholds_and_event_switches_change_at_once() {
    let kept = Kept::default();
    let guard = start(config(kept.clone()));
    let set =
        |unit: UnitSettings| guard.reload(&settings(|new| new.events = [(UNIT.to_owned(), unit)].into())).unwrap();
    assert_eq!(set(UnitSettings::new().threshold(Duration::from_secs(3_600))).applied, ["events"]);
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!((kept.len(), guard.stats().below_threshold), (0, 1));
    set(UnitSettings::new().threshold(Duration::ZERO));
    trace_one(&guard);
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    assert_eq!(kept.len(), 1);
    set(UnitSettings::off());
    trace_one(&guard);
    assert_eq!((guard.stats().skipped_event_off, guard.stats().started), (1, 2));
    assert_ledger_closes(&guard);
}

#[test]
fn the_dedupe_window_changes_at_once() {
    let guard = start(config(Kept::default()));
    let ship_two = || {
        for _ in 0..2 {
            trace_one(&guard);
            assert!(guard.flush_blocking(PATIENCE).within_deadline);
        }
        let stats = guard.stats();
        (stats.shipped, stats.skipped_dedupe + stats.deduplicated)
    };
    assert_eq!(ship_two(), (2, 0));
    guard.reload(&settings(|new| new.dedupe_enabled = Some(true))).unwrap();
    assert_eq!(ship_two(), (3, 1));
    guard.reload(&settings(|new| new.dedupe_enabled = Some(false))).unwrap();
    assert_eq!(ship_two(), (5, 1));
    assert_ledger_closes(&guard);
}

#[test]
fn the_number_of_active_traces_changes_at_once() {
    let agent = TestAgent::with(|builder| builder.max_active_traces(2_usize)).unwrap();
    let units: Vec<_> = ["a", "b", "c"].map(|id| agent.unit("unit", move || id)).into();
    assert_eq!((agent.active_traces(), agent.stats().skipped_max_active), (2, 1));
    agent.reload(&settings(|new| new.max_active_traces = Some(3))).unwrap();
    let one_more = agent.unit("unit", || "d");
    assert_eq!(agent.active_traces(), 3);
    agent.reload(&settings(|new| new.max_active_traces = Some(1))).unwrap();
    assert!(!agent.unit("unit", || "e").is_sampled());
    drop((units, one_more));
    agent.flush_blocking(PATIENCE);
    eventually("all are over", || agent.active_traces() == 0);
    assert!(agent.unit("unit", || "f").is_sampled());
    assert_ledger_closes(&agent);
}

#[test]
fn the_flush_interval_changes_at_once() {
    let kept = Kept::default();
    // The flush at the start comes before the trace, and the next one would come in an hour.
    let guard = start(config(kept.clone()).flush_interval(Duration::from_secs(3_600)));
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    trace_one(&guard);
    eventually("it waits", || guard.stats().outbox_traces == 1);
    assert_eq!(kept.len(), 0);
    let reloaded = guard.reload(&settings(|new| new.flush_interval_ms = Some(1))).unwrap();
    assert_eq!((reloaded.applied, reloaded.needs_restart.len()), (vec!["flush_interval_ms"], 0));
    eventually("it is shipped without a flush", || kept.len() == 1);
}

#[test]
fn the_size_of_a_batch_changes_at_once() {
    let kept = Kept::default();
    let guard = start(config(kept.clone()).flush_interval(Duration::from_secs(3_600)));
    assert!(guard.flush_blocking(PATIENCE).within_deadline);
    trace_one(&guard);
    trace_one(&guard);
    eventually("they wait", || guard.stats().outbox_traces == 2);
    guard.reload(&settings(|new| new.max_batch_size = Some(2))).unwrap();
    eventually("a full batch is shipped without a flush", || guard.stats().batches == 1);
    assert_eq!(kept.len(), 2);
}

#[test]
fn a_reload_names_what_takes_a_restart_and_refuses_what_is_wrong() {
    let guard = start(config(Kept::default()).service("shop"));
    let reloaded = guard.reload(&settings(|new| {
        new.service = Some("other".into());
        new.sample_rate = Some(0.5);
        new.send_timeout_ms = Some(17);
    }));
    let reloaded = reloaded.unwrap();
    assert_eq!((reloaded.applied, reloaded.needs_restart), (vec!["sample_rate"], vec!["service", "send_timeout_ms"]));
    assert_eq!(guard.config().service(), "shop");
    let before = guard.config().sample_rate();
    let wrong = settings(|new| (new.sample_rate, new.max_batch_size) = (Some(0.75), Some(0)));
    assert!(guard.reload(&wrong).is_err());
    assert!((guard.config().sample_rate() - before).abs() < f64::EPSILON);
    assert!(FlameOn::disabled().reload(&Settings::default()).unwrap().applied.is_empty());
    assert!(Config::builder().ignore_env().build().is_ok());
}
