//! More work at once, deeper and wider than the agent will record: it stays within its bounds and blocks nobody.
//!
//! One test at a time, because each measures the memory of the process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod load_common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flame_on::{FlameOn, FrameExt, FrameGuard, Scope, in_frame};
use load_common::{MIB, agent, assert_ledger_closes, resident};
use tokio::sync::{Barrier, Semaphore};

const SCOPES: usize = 10_000;
const MAX_ACTIVE: usize = 256;
const CAPTURE_BYTES: u64 = 16 * MIB;
const OUTBOX_BYTES: u64 = 4 * MIB;

/// What the agent may add to the process's memory here:
/// - `max_capture_bytes`: chunks, lanes, trees and finished traces;
/// - `max_outbox_bytes` once more, as the encoded form of what is being shipped;
/// - 256 sessions of 16 KiB: an actor is 6.6 KiB, its mailbox, trace and timer the rest;
/// - 8,192 signals in the inbox with a header of 1 KiB each, at worst: 8 MiB;
/// - 8 MiB of the allocator's own: freed pages that it keeps, in an arena for each thread.
const BOUND: u64 = CAPTURE_BYTES + OUTBOX_BYTES + MAX_ACTIVE as u64 * (16 << 10) + 8 * MIB + 8 * MIB;

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn configured(builder: flame_on::ConfigBuilder) -> flame_on::ConfigBuilder {
    builder
        .max_active_traces(MAX_ACTIVE)
        .max_capture_bytes(CAPTURE_BYTES as usize)
        .trace_buffer_size_bytes(1 << 20)
        .max_outbox_bytes(OUTBOX_BYTES as usize)
}

/// What each of the units does: many frames, a rest among all the others, and frames again.
async fn work(is_resting: Arc<Barrier>, go_on: Arc<Semaphore>) {
    for _ in 0..200 {
        in_frame("before", || in_frame("inner", || ()));
    }
    async {
        is_resting.wait().await;
        drop(go_on.acquire().await);
    }
    .in_frame("rest")
    .await;
    for _ in 0..200 {
        in_frame("after", || ());
    }
}

/// Runs all units at once; calls `at_rest` while every one of them waits in the middle of its work.
fn run_all(scopes: Vec<Scope>, at_rest: impl FnOnce()) -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let is_resting = Arc::new(Barrier::new(scopes.len() + 1));
        let go_on = Arc::new(Semaphore::new(0));
        let tasks: Vec<_> =
            scopes.into_iter().map(|scope| tokio::spawn(scope.run(work(is_resting.clone(), go_on.clone())))).collect();
        is_resting.wait().await;
        at_rest();
        go_on.add_permits(tasks.len());
        let mut completed = 0;
        for task in tasks {
            completed += usize::from(task.await.is_ok());
        }
        completed
    })
}

fn units(agent: &FlameOn, identifier: impl Fn(usize) -> String) -> Vec<Scope> {
    (0..SCOPES).map(|number| agent.unit("load.unit", || identifier(number))).collect()
}

#[test]
fn of_ten_thousand_scopes_at_once_as_many_are_traced_as_may_be_and_the_rest_is_counted() {
    let _alone = one_at_a_time();
    let (agent, shipper) = agent(configured);
    // What the work itself takes, and what the allocator keeps of it, is there before the measurement.
    let mut of_the_work = 0;
    assert_eq!(run_all(units(&FlameOn::disabled(), |_| String::new()), || of_the_work = resident()), SCOPES);
    for round in 1..=3_u64 {
        let scopes = units(&agent, |number| format!("GET /{number}"));
        assert_eq!(scopes.iter().filter(|scope| scope.is_sampled()).count(), MAX_ACTIVE);
        assert_eq!(agent.active_traces(), MAX_ACTIVE);
        let mut at_rest = 0;
        let completed = run_all(scopes, || {
            at_rest = resident();
            assert!(agent.stats().capture_bytes <= CAPTURE_BYTES);
        });
        assert_eq!(completed, SCOPES, "none is blocked");
        assert!(at_rest < of_the_work + BOUND, "{} MiB more", (at_rest - of_the_work) / MIB);
        let stats = assert_ledger_closes(&agent);
        assert_eq!(stats.started, round * MAX_ACTIVE as u64);
        assert_eq!(stats.skipped_max_active, round * (SCOPES - MAX_ACTIVE) as u64);
        assert_eq!((stats.shipped, shipper.traces()), (stats.started, stats.started), "{stats:#?}");
    }
}

#[test]
fn one_identifier_gets_an_eighth_of_the_places() {
    let _alone = one_at_a_time();
    let (agent, _) = agent(configured);
    let scopes = units(&agent, |_| "GET /".into());
    assert_eq!(scopes.iter().filter(|scope| scope.is_sampled()).count(), MAX_ACTIVE / 8);
    assert!(agent.unit("load.unit", || "GET /other").is_sampled(), "another one has room");
    assert_eq!(run_all(scopes, || ()), SCOPES);
    let stats = assert_ledger_closes(&agent);
    assert_eq!(stats.skipped_max_per_identifier, (SCOPES - MAX_ACTIVE / 8) as u64);
    assert_eq!((stats.started, stats.never_run), (MAX_ACTIVE as u64 / 8 + 1, 1));
}

/// Looks at the agent's memory all the time while `work` runs; the most that it held.
fn watched(agent: &FlameOn, work: impl FnOnce()) -> u64 {
    /// Sets it however `work` ends: the watching thread must not outlive a failed test.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (is_over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(agent.stats().capture_bytes, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let _over = Over(&is_over);
        work();
    });
    most.into_inner()
}

fn recurse(depth: usize) {
    let _frame = FrameGuard::enter("recurse");
    if depth > 1 {
        recurse(std::hint::black_box(depth - 1));
    }
}

#[test]
fn a_recursion_50_000_deep_is_cut_at_the_depth_that_is_kept() {
    const DEPTH: usize = 50_000;
    const KEPT: usize = 512;
    let _alone = one_at_a_time();
    let agent = flame_on::testing::TestAgent::with(|builder| configured(builder).max_stack_depth(KEPT)).unwrap();
    let before = resident();
    let most = watched(&agent, || {
        // A stack for the recursion itself.
        let deep = std::thread::Builder::new().stack_size(256 << 20);
        std::thread::scope(|scope| {
            let recursion = || agent.unit("load.recursion", || "50,000").in_scope(|| recurse(DEPTH));
            deep.spawn_scoped(scope, recursion).unwrap().join().unwrap();
        });
        let traces = agent.traces_blocking();
        let trace = &traces[0];
        let sum: Duration = trace.paths().map(|(_, own)| own).sum();
        assert_eq!(sum, trace.duration());
        let deepest = trace.paths().map(|(path, _)| path.matches("recurse").count()).max();
        // Which of them pass the profile filter is a matter of time; how many were kept, the counter tells.
        assert!(deepest <= Some(KEPT), "{deepest:?}");
    });
    let stats = assert_ledger_closes(&agent);
    assert_eq!((stats.suppressed_depth, stats.suppressed_frames), ((DEPTH - KEPT) as u64, 0));
    assert!(most <= CAPTURE_BYTES);
    assert!(resident() < before + BOUND);
}

#[test]
fn a_fan_out_of_100_000_stays_within_the_paths_that_are_kept() {
    const FAN_OUT: u64 = 100_000;
    const KEPT: usize = 10_000;
    /// Names stay for the life of the process, in a table of 65,536 names; a name of 12 bytes is 100 bytes there
    /// and in this test.
    const NAMES: u64 = FAN_OUT * 200;
    let _alone = one_at_a_time();
    let (agent, shipper) = agent(|builder| configured(builder).max_stacks(KEPT));
    let before = resident();
    let most = watched(&agent, || {
        agent.unit("load.fan_out", || "100,000").in_scope(|| {
            for number in 0..FAN_OUT {
                in_frame(String::leak(format!("child {number}")), || ());
            }
        });
        assert_ledger_closes(&agent);
    });
    let stats = agent.stats();
    // Every call was recorded, folded into its parent, or left out for want of a chunk.
    assert!(stats.folded_paths + stats.suppressed_frames >= FAN_OUT - KEPT as u64 - FAN_OUT / 3, "{stats:#?}");
    assert!(stats.folded_paths > 0 || stats.starved > 0, "{stats:#?}");
    assert_eq!((stats.shipped, shipper.traces()), (1, 1));
    assert!(most <= CAPTURE_BYTES, "{most}");
    assert!(resident() < before + BOUND + NAMES, "{} MiB more", (resident() - before) / MIB);
}
