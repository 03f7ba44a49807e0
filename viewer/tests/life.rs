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

#[tokio::test]
async fn what_was_confirmed_survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut confirmed = HashSet::new();
    let mut next = 0_u64;
    for _ in 0..3 {
        let (mut child, address) = run(directory.path());
        let client = Client::connect(address).await;
        // Killed in the middle of what is under way.
        let killer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        });
        while client.ingest(vec![large_trace(next)]).await.is_ok() {
            confirmed.insert(common::id(next));
            next += 1;
        }
        next += 1;
        killer.await.unwrap();
    }
    let viewer = Viewer::start(options(Data::Directory(directory.path().to_owned()))).await.unwrap();
    let kept: HashSet<String> =
        viewer.newest(1_000_000).await.unwrap().into_iter().map(|trace| trace.trace_id).collect();
    assert!(!confirmed.is_empty());
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

/// 64 agents that send `per_second` batches in all, each of one trace of 200 paths.
async fn load(per_second: u64, time: Duration) {
    let directory = tempfile::tempdir().unwrap();
    let viewer = Viewer::start(options(Data::Directory(directory.path().to_owned()))).await.unwrap();
    let templates: Arc<Vec<_>> = Arc::new((0..50).map(large_trace).collect());
    let (next, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let total = per_second * time.as_secs();
    let start = Instant::now();
    let mut agents = Vec::new();
    for _ in 0..64 {
        let client = Client::connect(viewer.grpc_address()).await;
        let (templates, next, sent) = (templates.clone(), next.clone(), sent.clone());
        agents.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return;
                }
                tokio::time::sleep_until((start + Duration::from_secs_f64(number as f64 / per_second as f64)).into())
                    .await;
                let mut trace = templates[number as usize % templates.len()].clone();
                trace.trace_id = common::id(number);
                assert_eq!(client.ingest(vec![trace]).await.unwrap().ingested, 1);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let mut memory = Vec::new();
    while !agents.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        memory.extend(resident());
    }
    for agent in agents {
        agent.await.unwrap();
    }
    assert_eq!(sent.load(Ordering::Relaxed), total);
    assert_eq!(viewer.newest(u32::MAX).await.unwrap().len() as u64, total, "nothing is lost");
    let took = start.elapsed().as_secs_f64();
    let third = memory.len() / 3;
    let highest = |part: &[u64]| part.iter().copied().max().unwrap_or_default() >> 20;
    let (early, late) =
        (highest(&memory[..=third.min(memory.len().saturating_sub(1))]), highest(&memory[memory.len() - third..]));
    eprintln!(
        "{total} batches in {took:.1} s ({:.0} a second); memory {early} MiB, then {late} MiB",
        total as f64 / took
    );
    assert!(late < early + 48, "memory grows: {early} MiB, then {late} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_64_agents_is_lost() {
    load(100, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn nothing_of_64_agents_and_500_batches_a_second_is_lost_in_a_minute() {
    load(500, Duration::from_secs(60)).await;
}
