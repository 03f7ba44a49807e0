//! Two hundred agents, one after the other: nothing of them stays. A binary of its own, because it counts what the
//! whole process has, and because it has an allocator of its own, which FlameOn leaves alone.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, clippy::unwrap_used, clippy::print_stderr, reason = "a test; an allocator is unsafe to write")]

#[path = "common/allocator.rs"]
mod allocator;
mod common;

use std::sync::atomic::{AtomicIsize, Ordering};

use allocator::Counting;
use common::{PATIENCE, UNIT, config, eventually};
use flame_on::{FlameOn, ShipContext, ShipError, ShipperAdapter, TraceBatch, call_named, in_frame};
use tokio::runtime::Builder;

const CYCLES: u32 = 200;
/// The first ones fill what a process has once: name tables, thread-locals, the allocator's own reserves.
const WARM_UP: u32 = 20;
/// What the other cycles may add to the heap: below 100 bytes a cycle. A single trace that stays has 8 KiB.
const MAX_HEAP_GROWTH: isize = 16 * 1024;
/// What they may add to the process's anonymous memory, fragmentation included. An agent that stays has 1.2 MiB.
const MAX_RSS_GROWTH: u64 = 16 * 1024 * 1024;

/// The bytes that are allocated now.
static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

fn count(bytes: isize) {
    ALLOCATED.fetch_add(bytes, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(count);

fn entries(dir: &str) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

fn threads() -> usize {
    entries("/proc/self/task")
}

fn descriptors() -> usize {
    entries("/proc/self/fd")
}

/// Anonymous resident memory in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Accepts everything, keeps nothing.
struct Nowhere;

impl ShipperAdapter<TraceBatch> for Nowhere {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        std::hint::black_box(batch.traces().iter().map(|trace| trace.pprof().len()).sum::<usize>());
        Ok(())
    }
}

/// One agent's whole life, in one of the ways in which it can end.
fn live(cycle: u32) {
    let guard = FlameOn::start(config(Nowhere).build().unwrap()).unwrap();
    let agent = guard.handle();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(agent.unit(UNIT, || format!("cycle {cycle}")).run(async {
        in_frame("work", || std::hint::black_box(1));
        call_named("nobody", &cycle, tokio::task::yield_now()).await;
    }));
    match cycle % 4 {
        0 => assert_eq!(guard.shutdown_blocking(PATIENCE).shipped, 1),
        1 => runtime.block_on(async { assert_eq!(guard.shutdown(PATIENCE).await.shipped, 1) }),
        2 => drop(guard),
        _ => {
            // Only a signal; the rest is waited for by whoever counts.
            runtime.block_on(async { drop(guard) });
            eventually("it has ended", || agent.stats().shipped == 1);
        }
    }
}

// The only test of this binary: another one would be counted with it.
#[test]
fn two_hundred_agents_leave_no_thread_no_descriptor_and_no_memory() {
    let before_any = ALLOCATED.load(Ordering::Relaxed);
    (0..WARM_UP).for_each(live);
    assert!(ALLOCATED.load(Ordering::Relaxed) > before_any, "the host's allocator is not the one in use");
    let idle_threads = threads_at_rest();
    let (descriptors_before, allocated, rss) = (descriptors(), ALLOCATED.load(Ordering::Relaxed), resident());
    (WARM_UP..CYCLES).for_each(live);
    eventually("the threads are gone", || threads() <= idle_threads);
    eventually("the descriptors are closed", || descriptors() <= descriptors_before);
    eventually("the heap is as it was", || {
        ALLOCATED.load(Ordering::Relaxed).saturating_sub(allocated) <= MAX_HEAP_GROWTH
    });
    let growth = resident().saturating_sub(rss);
    assert!(growth <= MAX_RSS_GROWTH, "{growth} bytes");
}

/// Threads once those of ended agents are gone: the test's own and the harness's.
fn threads_at_rest() -> usize {
    eventually("the agents' threads are gone", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        // `Err`: the thread has just ended.
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        !names.into_iter().any(|name| name.starts_with("flame-on"))
    });
    threads()
}
