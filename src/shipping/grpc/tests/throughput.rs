//! What encoding and sending costs. `cargo test --release --lib throughput -- --ignored --nocapture`.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "measures")]

use std::time::Instant;

use super::*;
use crate::model::profile::{NO_PARENT, Profile, ProfileNode};
use crate::model::time::Nanos;
use crate::shipping::batch::Batch as _;
use crate::shipping::trace::{Trace, TraceBatch, TraceParts};

const TRACES: usize = 10_000;
const BATCH: usize = 50;

/// A tree of 1,000 paths, ten deep, with a hundred names.
fn a_thousand_paths() -> Profile {
    let frames = (0..100).map(|n| format!("shop::module_{}::function_{n}", n % 7).into()).collect();
    let node = |index: u32| {
        let parent = if index == 0 {
            NO_PARENT
        } else if index % 10 == 1 {
            0
        } else {
            index - 1
        };
        ProfileNode { parent, frame: index % 100, own: Nanos(1_000_000 + u64::from(index)) }
    };
    Profile { frames, nodes: (0..1_000).map(node).collect() }
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(ticks * 10)
}

#[tokio::test]
#[ignore = "measures"]
async fn throughput() {
    let profile = a_thousand_paths();
    let trace =
        |number| Trace::new(TraceParts { profile: profile.clone(), ..crate::shipping::trace::tests::parts(number) });
    let batch = TraceBatch::new((0..BATCH as u128).map(trace).collect());
    let (begun, before) = (Instant::now(), cpu());
    let bytes: usize = (0..TRACES / BATCH).flat_map(|_| batch.traces()).map(|trace| trace.pprof().len()).sum();
    let (encoded_in, encoded_cpu) = (begun.elapsed(), cpu() - before);

    let server = MortalServer::start(any_port()).await;
    let adapter = adapter(server.server.address());
    let (begun, before) = (Instant::now(), cpu());
    for _ in 0..TRACES / BATCH {
        adapter.ship(&batch, &ShipContext::default()).await.unwrap();
    }
    let (sent_in, sent_cpu) = (begun.elapsed(), cpu() - before);
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!("{TRACES} traces, {:.1} MB", bytes as f64 / 1e6);
    println!("encode: {encoded_in:.2?}, {:.0} MB/s, {encoded_cpu:.2?} of CPU", rate(encoded_in));
    println!("encode + send: {sent_in:.2?}, {:.0} MB/s, {sent_cpu:.2?} of CPU, the server's included", rate(sent_in));
    assert_eq!(server.kill().await.iter().map(|batch| batch.traces.len()).sum::<usize>(), TRACES);
}
