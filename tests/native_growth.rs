//! Native capture over many traces: nothing is left behind by any of them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use flame_on::{Config, FlameOn, FlameOnGuard, NativeCapture, ShipContext, ShipError, ShipperAdapter, TraceBatch};
use tokio::sync::oneshot;

struct ThrowAway;

impl ShipperAdapter<TraceBatch> for ThrowAway {
    async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        Ok(())
    }
}

fn start() -> FlameOnGuard {
    let config = Config::builder()
        .ignore_env()
        .process_default(false)
        .capture(true)
        .sample_rate(1.0)
        .dedupe_enabled(false)
        // An eighth of it for one identifier.
        .max_active_traces(1_024)
        .native_capture(NativeCapture::On)
        .shipper(ThrowAway);
    FlameOn::start(config.build().unwrap()).unwrap()
}

/// Waits for another task, and keeps a waker longer than its trace lasts every now and then.
async fn waits(number: u32) {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move { sender.send(number) });
    assert_eq!(receiver.await.unwrap(), number);
    if number.is_multiple_of(100) {
        // Shipped: the threshold of a unit is 100 ms.
        tokio::time::sleep(Duration::from_millis(110)).await;
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Until so many traces were begun since the start: past its share of the processor the agent leaves work out.
async fn run(agent: &FlameOn, traces: u64) {
    let mut waiting = tokio::task::JoinSet::new();
    let mut number = 0;
    while agent.stats().started < traces {
        for _ in 0..64 {
            waiting.spawn(agent.unit("test.unit", || "one").run(waits(number)));
            number += 1;
        }
        while waiting.len() >= 64 {
            waiting.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = waiting.join_next().await {
        done.unwrap();
    }
}

#[test]
#[ignore = "takes a minute or two; `.ci/run --long` runs it"]
fn a_hundred_thousand_traces_leave_the_memory_as_it_was() {
    let agent = start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settle = || {
        agent.flush_blocking(Duration::from_secs(60));
        resident_kib()
    };
    runtime.block_on(run(&agent, 20_000));
    let after_a_fifth = settle();
    runtime.block_on(run(&agent, 100_000));
    let after_all = settle();
    let stats = agent.stats();
    assert!(stats.await_sites >= 100_000 && stats.shipped > 500, "{stats:#?}");
    assert_eq!(stats.active_traces, 0);
    // What an allocator keeps apart is not ours to say; a node or a stack left by each trace would be 20 MiB and more.
    assert!(after_all < after_a_fifth + 8 * 1024, "{after_a_fifth} KiB, then {after_all} KiB: {stats:#?}");
}
