//! What was confirmed survives the process, and a load that is long.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stderr, reason = "tests")]

mod common;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Client, large_trace, options, resident};
use flame_on_viewer::{Data, Viewer};

/// A viewer in a process of its own. Nobody reads what it says after its first line.
fn run(directory: &std::path::Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_flame-on-viewer"))
        .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    (child, address)
}

/// How many traces each process confirms at least before it is killed.
const CONFIRMED: usize = 20;

#[tokio::test]
async fn what_was_confirmed_survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut confirmed = HashSet::new();
    let mut next = 0_u64;
    for round in 0..3 {
        let (mut child, address) = run(directory.path());
        let client = Client::connect(address).await;
        // Killed in the middle of what is under way, when some have been confirmed.
        let (kill, killed) = tokio::sync::oneshot::channel::<()>();
        let killer = tokio::spawn(async move {
            // `Err`: it has died by itself, which is told below.
            killed.await.ok();
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let mut kill = Some(kill);
        while client.ingest(vec![large_trace(next)]).await.is_ok() {
            confirmed.insert(common::id(next));
            next += 1;
            if confirmed.len() >= (round + 1) * CONFIRMED {
                kill.take().into_iter().for_each(|kill| kill.send(()).unwrap());
            }
        }
        next += 1;
        assert!(kill.is_none(), "it has died by itself after {} confirmed", confirmed.len());
        killer.await.unwrap();
    }
    let viewer = Viewer::start(options(Data::Directory(directory.path().to_owned()))).await.unwrap();
    let kept: HashSet<String> =
        viewer.newest(1_000_000).await.unwrap().into_iter().map(|trace| trace.trace_id).collect();
    assert!(confirmed.len() >= 3 * CONFIRMED);
    assert_eq!(confirmed.difference(&kept).count(), 0, "of {} confirmed {} are there", confirmed.len(), kept.len());
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = Data::Directory(directory.path().to_owned());
    Viewer::start(options(data.clone())).await.unwrap().stop().await;
    let file = directory.path().join("flame-on-viewer.sqlite3");
    let later = rusqlite::Connection::open(&file).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let refused = Viewer::start(options(data)).await.unwrap_err().to_string();
    assert!(refused.contains("schema 99"), "{refused}");
}

/// 64 agents that send `total` batches in all, each of one trace of 200 paths, and no more than `per_second`.
async fn load(total: u64, per_second: u64) {
    let directory = tempfile::tempdir().unwrap();
    let viewer = Viewer::start(options(Data::Directory(directory.path().to_owned()))).await.unwrap();
    let templates: Arc<Vec<_>> = Arc::new((0..50).map(large_trace).collect());
    let (next, highest) = (Arc::new(AtomicU64::new(0)), Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
    let start = Instant::now();
    let mut agents = Vec::new();
    for _ in 0..64 {
        let client = Client::connect(viewer.grpc_address()).await;
        let (templates, next, highest) = (templates.clone(), next.clone(), highest.clone());
        agents.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return;
                }
                let due = start + Duration::from_secs_f64(number as f64 / per_second as f64);
                tokio::time::sleep_until(due.into()).await;
                let mut trace = templates[number as usize % templates.len()].clone();
                trace.trace_id = common::id(number);
                assert_eq!(client.ingest(vec![trace]).await.unwrap().ingested, 1);
                // Counted in batches and not in time, so that a slow machine measures the same.
                if let (Some(third), Some(bytes)) = (third_of(number, total), resident()) {
                    highest[third].fetch_max(bytes, Ordering::Relaxed);
                }
            }
        }));
    }
    for agent in agents {
        agent.await.unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    assert_eq!(viewer.newest(u32::MAX).await.unwrap().len() as u64, total, "nothing is lost");
    let [early, late] = [&highest[0], &highest[1]].map(|bytes| bytes.load(Ordering::Relaxed) >> 20);
    eprintln!(
        "{total} batches in {took:.1} s ({:.0} a second); memory {early} MiB, then {late} MiB",
        total as f64 / took
    );
    assert!(late < early + 48, "memory grows: {early} MiB, then {late} MiB");
}

/// Whether a batch, of which every tenth looks, is of the first third (0) or of the last (1).
fn third_of(number: u64, total: u64) -> Option<usize> {
    match number * 3 / total {
        _ if !number.is_multiple_of(10) => None,
        0 => Some(0),
        1 => None,
        _ => Some(1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_64_agents_is_lost() {
    load(400, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn nothing_of_64_agents_and_500_batches_a_second_is_lost_in_a_minute() {
    load(30_000, 500).await;
}
