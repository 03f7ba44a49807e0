//! A store of 100,000 traces: how long the pages take, what they weigh, what memory it takes.
//!
//! `cargo bench --package flame-on-viewer --bench large_store`. The figures stand in docs/design/viewer.md.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::time::Instant;

use common::{Client, get, id, options, resident};
use flame_on_viewer::proto::flame_on::TraceProfile;
use flame_on_viewer::{Bounds, Data, Options, Viewer};

const TRACES: u64 = 100_000;
const BATCH: u64 = 100;
const ENDPOINTS: u64 = 100;
const ROUNDS: usize = 21;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let directory = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 8 << 30, ..Bounds::default() };
    let data = Data::Directory(directory.path().to_owned());
    let viewer = Viewer::start(Options { bounds, ..options(data) }).await.unwrap();
    let client = Client::connect(viewer.grpc_address()).await;
    let start = Instant::now();
    fill(&client).await;
    println!("{TRACES} traces of 200 paths stored in {:.0} s", start.elapsed().as_secs_f64());

    let http = viewer.http_address();
    let from = "2026-01-01T12:00";
    for (what, path) in [
        ("list, newest first", "/".to_owned()),
        ("list, longest first", "/?sort=duration".to_owned()),
        ("list, a part of the identifier", "/?q=%2F42".to_owned()),
        ("list, nothing is like that", "/?q=nowhere".to_owned()),
        ("list, event, range and minimum", format!("/?event=axum.request&from={from}&min_ms=40")),
        ("list, page 500", "/?page=500".to_owned()),
        ("endpoints", "/endpoints".to_owned()),
        ("a trace", format!("/trace/{}", id(5))),
        ("a trace's graph", format!("/trace/{}/graph.json", id(5))),
        ("merged graph of 1,000 traces", "/endpoint/graph.json?event=axum.request&identifier=GET%20%2F7".to_owned()),
        ("page of that endpoint", "/endpoint?event=axum.request&identifier=GET%20%2F7".to_owned()),
    ] {
        measure(http, what, &path).await;
    }
    println!("memory, server and client together: {} MiB", resident().unwrap_or_default() >> 20);
}

async fn fill(client: &Client) {
    // Ten sorts of profiles are enough: each is decoded, checked and compressed anew.
    let templates: Vec<TraceProfile> = (0..10).map(common::large_trace).collect();
    // 2026-01-01, and a trace a second from there.
    let first = 1_767_225_600_000_000_000_i64;
    for batch in 0..TRACES / BATCH {
        let made = (batch * BATCH..(batch + 1) * BATCH).map(|number| {
            let mut trace = templates[(number % 10) as usize].clone();
            trace.trace_id = id(number);
            trace.event_identifier = format!("GET /{}", number % ENDPOINTS);
            let profile = trace.profile.as_mut().unwrap();
            profile.time_nanos = first + i64::try_from(number).unwrap() * 1_000_000_000;
            profile.sample[0].value = vec![i64::try_from(number % 1_000).unwrap() * 100; 2];
            trace
        });
        assert_eq!(client.ingest(made.collect()).await.unwrap().ingested, 100);
    }
}

async fn measure(http: SocketAddr, what: &str, path: &str) {
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let answer = get(http, path).await;
        times.push(start.elapsed());
        assert_eq!(answer.status, 200, "{path}");
        bytes = answer.body.len();
    }
    times.sort();
    let millis = |at: usize| times[at].as_secs_f64() * 1e3;
    println!(
        "{what:<34} median {:>7.1} ms, worst {:>7.1} ms, {:>6} bytes",
        millis(ROUNDS / 2),
        millis(ROUNDS - 1),
        bytes
    );
}
