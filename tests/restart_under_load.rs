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

/// Kills one child after another, whichever comes, until there have been `restarts` restarts.
fn restart_any_child(restarts: u64) {
    let (agent, shipper) =
        agent(|builder| builder.__restart_intensity(u32::MAX).flush_interval(Duration::from_millis(50)));
    let (is_over, begun) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (agent, is_over, begun) = (&agent, &is_over, &begun);
        for seed in 0..4 {
            scope.spawn(move || traffic(agent, seed, is_over, begun));
        }
        let mut random = Random::new(7);
        // The pauses before restarts grow to 800 ms, in which every child may die.
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(restarts);
        while agent.stats().restarts < restarts {
            assert!(Instant::now() < deadline, "{:#?}", agent.stats());
            for child in CHILDREN {
                if random.below(4) > 0 {
                    agent.__kill(child);
                }
            }
            for _ in 0..random.below(4) {
                agent.__kill("a_session");
            }
            std::thread::sleep(Duration::from_millis(1 + random.below(40)));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let stats = assert_ledger_closes(&agent);
    assert!(stats.running && stats.restarts >= restarts, "{stats:#?}");
    assert!(stats.started > 0 && stats.started <= begun.load(Ordering::Relaxed));
    assert_eq!(stats.adapter_panics, 0, "a trace whose time is not conserved");
    assert!(shipper.traces() >= stats.shipped);
    // Whatever it went through, it works as on its first day.
    let before = agent.stats();
    let scope = agent.unit("restart.last", || "last");
    assert!(scope.is_sampled(), "{:#?}", agent.stats());
    scope.in_scope(|| in_frame("work", || ()));
    let after = assert_ledger_closes(&agent);
    assert_eq!(after.shipped, before.shipped + 1);
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
