//! Random traffic for a while, with everything that can be done to an agent meanwhile.
#![allow(clippy::unwrap_used, reason = "tests")]

mod load_common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flame_on::{FlameOn, FrameExt, FrameGuard, Settings, call_named, in_frame, metadata};
use load_common::{MIB, Random, agent, assert_ledger_closes, resident};

/// By how much the memory may differ between two ends of traffic: the pools' 2 MiB, a tree or two of the largest,
/// and what the allocator keeps in its arenas for 8 + 8 threads.
const FLAT: u64 = 24 * MIB;

fn nested(depth: u64) {
    let _frame = FrameGuard::enter(["a", "b", "c", "d"][depth as usize % 4]);
    if depth > 0 {
        nested(depth - 1);
    }
}

async fn unit(random: &mut Random) {
    let pause = Duration::from_micros(random.below(2_000));
    for _ in 0..random.below(50) {
        nested(random.below(20));
    }
    match random.below(6) {
        0 => tokio::task::yield_now().in_frame("yield").await,
        1 => call_named("store", &("get", 7), tokio::time::sleep(pause)).in_frame("load").await,
        2 => {
            let loser = tokio::time::sleep(Duration::from_secs(60)).in_frame("loser");
            let winner = tokio::time::sleep(pause).in_frame("winner");
            tokio::select! { () = loser => (), () = winner => () }
        }
        3 => {
            let held = FrameGuard::enter("held");
            tokio::task::yield_now().await;
            drop(held);
        }
        4 => {
            let left = tokio::time::sleep(pause).in_frame("left");
            futures::join!(left, tokio::task::yield_now().in_frame("right"));
        }
        _ => (0..random.below(3_000)).for_each(|_| in_frame("loop", || ())),
    }
}

fn traffic(agent: &FlameOn, seed: u64, is_over: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut random = Random::new(seed);
    while !is_over.load(Ordering::Relaxed) {
        let identifier = format!("GET /{}", random.below(300));
        let scope = match random.below(3) {
            0 => agent.event("axum.request.start", || metadata! { "method" => "GET", "route" => &identifier }),
            1 => agent.event("soak.unknown", || metadata! {}),
            _ => agent.unit("soak.unit", || identifier.clone()),
        };
        match random.below(8) {
            0 => drop(scope),
            1 => {
                let panicking = || scope.in_scope(|| in_frame("fragile", || resume_unwind(Box::new(()))));
                assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
            }
            2 => {
                let limit = Duration::from_micros(random.below(1_000));
                let work = scope.run(async { unit(&mut random).await });
                // Either way: done in time, or cancelled.
                runtime.block_on(async { tokio::time::timeout(limit, work).await }).ok();
            }
            3 => {
                let stopper = scope.stopper();
                runtime.block_on(scope.run(async {
                    unit(&mut random).await;
                    stopper.stop();
                    unit(&mut random).await;
                }));
            }
            _ => runtime.block_on(scope.run(unit(&mut random))),
        }
    }
}

/// What an operator does, at random.
fn operate(agent: &FlameOn, random: &mut Random) {
    match random.below(5) {
        0 => {
            agent.pause();
            std::thread::sleep(Duration::from_millis(random.below(20)));
            agent.resume();
        }
        1 => {
            let mut settings = Settings::default();
            settings.max_active_traces = Some(1 + random.below(300));
            settings.max_stack_depth = Some(1 + random.below(100));
            settings.max_stacks = Some(1 + random.below(50_000));
            settings.max_events = Some(1 + random.below(500_000));
            settings.trace_buffer_size_bytes = Some((1 + random.below(64)) << 16);
            settings.dedupe_enabled = Some(random.below(2) == 0);
            settings.max_concurrent_finalizations = Some(1 + random.below(4));
            settings.max_buffer_size = Some(50 + random.below(500));
            agent.reload(&settings).unwrap();
        }
        2 => agent.set_sample_rate([0.1, 0.5, 1.0][random.below(3) as usize]).unwrap(),
        3 => drop(agent.flush_blocking(Duration::from_millis(100))),
        _ => {
            let stats = agent.stats();
            assert!(stats.settled() <= agent.stats().started, "an outcome without its trace: {stats:#?}");
            assert!(stats.running && stats.capture_bytes <= 64 * MIB, "{stats:#?}");
        }
    }
    std::thread::sleep(Duration::from_millis(random.below(10)));
}

/// Traffic of 8 threads; the memory at its end, when all is quiet.
fn soak_for(agent: &FlameOn, time: Duration, seed: u64) -> u64 {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let is_over = &is_over;
            scope.spawn(move || traffic(agent, seed * 8 + thread, is_over));
        }
        // However this ends: the traffic must not outlive a failed test.
        let _over = Over(&is_over);
        let (mut random, end) = (Random::new(seed), Instant::now() + time);
        while Instant::now() < end {
            operate(agent, &mut random);
        }
    });
    assert_ledger_closes(agent);
    resident()
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn soak(time: Duration) {
    let (agent, shipper) = agent(|builder| builder.flush_interval(Duration::from_millis(100)));
    let first = soak_for(&agent, time / 4, 1);
    let last = soak_for(&agent, time * 3 / 4, 2);
    let stats = agent.stats();
    assert_eq!(stats.adapter_panics, 0, "a trace whose time is not conserved");
    assert_eq!((stats.restarts, stats.session_crashed), (0, 0), "{stats:#?}");
    assert_eq!(shipper.traces(), stats.shipped);
    assert!(stats.shipped > 0 && stats.panicked > 0 && stats.cancelled > 0 && stats.stopped > 0, "{stats:#?}");
    assert!(last < first + FLAT, "from {} to {} MiB", first / MIB, last / MIB);
}

#[test]
fn soak_for_a_few_seconds() {
    soak(Duration::from_secs(20));
}

#[test]
#[ignore = "takes ten minutes; `.ci/run --long` runs it"]
fn soak_for_ten_minutes() {
    soak(Duration::from_secs(600));
}
