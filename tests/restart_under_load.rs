//! Actors that die in the middle of traffic: nothing is orphaned, and the ledger closes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod load_common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flame_on::{FlameOn, FrameExt, call_named, in_frame};
use load_common::{PATIENCE, Random, agent, assert_ledger_closes};

const CHILDREN: [&str; 5] = ["memory_watcher", "router", "shipper", "sessions", "collector"];

/// Traffic of one thread: short traces, long ones that outlive a restart, calls, drops in the middle.
fn traffic(agent: &FlameOn, seed: u64, is_over: &AtomicBool, begun: &AtomicU64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut random = Random::new(seed);
    runtime.block_on(async {
        while !is_over.load(Ordering::Relaxed) {
            let identifier = format!("GET /{}", random.below(64));
            let scope = agent.unit("restart.unit", || identifier);
            begun.fetch_add(1, Ordering::Relaxed);
            let (kind, pause) = (random.below(10), Duration::from_micros(random.below(3_000)));
            match kind {
                0 => drop(scope),
                1..4 => scope.in_scope(|| (0..random.below(2_000)).for_each(|_| in_frame("sync", || ()))),
                4 => {
                    let work = tokio::time::sleep(Duration::from_secs(3_600)).in_frame("cancelled");
                    tokio::time::timeout(pause, scope.run(work)).await.unwrap_err();
                }
                5 => {
                    let stopper = scope.stopper();
                    let work = async {
                        tokio::time::sleep(pause).in_frame("stopped").await;
                        stopper.stop();
                        in_frame("after the end", || ());
                        call_named("late", &(), tokio::task::yield_now()).await;
                    };
                    scope.run(work).await;
                }
                _ => {
                    let work = async {
                        call_named("store", &("get", 1), tokio::time::sleep(pause)).in_frame("load").await;
                        in_frame("render", || ());
                    };
                    scope.run(work).await;
                }
            }
        }
    });
}

/// Kills children, several at once, lets the supervisor start them again, and so on until there have been
/// `restarts` restarts. While they are gone, and in a pause after they are back, the traffic goes on.
fn restart_any_child(restarts: u64) {
    let (agent, shipper) =
        agent(|builder| builder.__restart_intensity(u32::MAX).flush_interval(Duration::from_millis(50)));
    let (is_over, begun) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // However this ends: the traffic must not outlive a failed test.
        let _over = Over(&is_over);
        let (agent, is_over, begun) = (&agent, &is_over, &begun);
        for seed in 0..4 {
            scope.spawn(move || traffic(agent, seed, is_over, begun));
        }
        let (mut random, mut killed) = (Random::new(7), 0);
        while killed < restarts {
            for child in CHILDREN {
                if random.below(5) > 0 {
                    killed += u64::from(agent.__kill(child));
                }
            }
            // The pauses before restarts grow to 800 ms.
            eventually("all children are back", || agent.stats().restarts >= killed);
            std::thread::sleep(Duration::from_millis(random.below(150)));
            if random.below(2) == 0 {
                agent.__kill(if random.below(2) == 0 { "a_session" } else { "a_session_panics" });
            }
        }
    });
    let stats = assert_ledger_closes(&agent);
    assert!(stats.running && stats.restarts >= restarts, "{stats:#?}");
    assert!(stats.shipped > 0 && stats.started <= begun.into_inner(), "{stats:#?}");
    assert_eq!(stats.adapter_panics, 0, "a trace whose time is not conserved");
    assert!(shipper.traces() >= stats.shipped);
    // Whatever it went through, it works as on its first day.
    eventually("a trace is shipped", || {
        agent.unit("restart.last", || "last").in_scope(|| in_frame("work", || ()));
        assert_ledger_closes(&agent).shipped > stats.shipped
    });
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn restarting_any_child_under_load_orphans_nothing() {
    restart_any_child(100);
}

#[test]
#[ignore = "takes minutes; `.ci/run --long` runs it"]
fn restart_any_child_1000_times_under_load() {
    restart_any_child(1_000);
}
