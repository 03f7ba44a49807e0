//! An axum service whose handler waits several times for another task: what a request costs, and how long the slowest take.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use flame_on::FlameOnGuard;
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt as _;

use crate::agents;
use crate::harness::measure_with;
use crate::stats::Estimate;
use crate::table::{Row, Unit};

/// Requests under way at a time.
const CLIENTS: u64 = 16;
/// Awaits of a request.
const AWAITS: usize = 6;
const REQUESTS: u64 = 4_000;
const REST: Duration = Duration::from_millis(500);
const ROUNDS: usize = 25;
const MODES: [&str; 4] = ["bare", "off", "1 %", "100 %"];

type Asked = oneshot::Sender<u64>;

/// Answers whoever asks, in a task of its own.
fn oracle() -> mpsc::Sender<Asked> {
    let (sender, mut receiver) = mpsc::channel::<Asked>(1_024);
    tokio::spawn(async move {
        while let Some(asked) = receiver.recv().await {
            asked.send(7).ok();
        }
    });
    sender
}

async fn ask(oracle: &mpsc::Sender<Asked>) -> u64 {
    let (sender, receiver) = oneshot::channel();
    oracle.send(sender).await.ok();
    receiver.await.unwrap_or(0)
}

async fn load(oracle: &mpsc::Sender<Asked>) -> u64 {
    let mut sum = 0;
    for _ in 0..AWAITS {
        sum += ask(oracle).await;
    }
    sum
}

fn service(agent: Option<&FlameOnGuard>) -> Router {
    let oracle = oracle();
    let handler = move || {
        let oracle = oracle.clone();
        async move { load(&oracle).await.to_string() }
    };
    let router = Router::new().route("/orders/{id}", get(handler));
    match agent {
        Some(agent) => router.layer(agent.layer()),
        None => router,
    }
}

/// The service in one mode, for all rounds: with an agent of its own, which has read its names.
struct Host {
    mode: &'static str,
    runtime: tokio::runtime::Runtime,
    service: Router,
    _agent: Option<FlameOnGuard>,
}

impl Host {
    fn new(mode: &'static str) -> Self {
        let rate = match mode {
            "1 %" => 0.01,
            "100 %" => 1.0,
            _ => 0.0,
        };
        let agent =
            (mode != "bare").then(|| agents::start_with(agents::builder().sample_rate(rate).max_active_traces(4_096)));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let service = runtime.block_on(async { service(agent.as_ref()) });
        runtime.block_on(drive(&service, REQUESTS));
        agent.iter().for_each(|agent| agents::settle(agent));
        Self { mode, runtime, service, _agent: agent }
    }

    /// Nanoseconds of the process's CPU time a request, and the latency that one in a hundred exceeds.
    fn round(&self) -> (f64, f64) {
        // Below the processor time from which on an agent begins to shed work.
        std::thread::sleep(REST);
        let (cpu, mut latencies) = self.runtime.block_on(async {
            // Caches.
            drive(&self.service, REQUESTS / 10).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let start = crate::clocks::process_cpu();
            let latencies = drive(&self.service, REQUESTS).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            (crate::clocks::process_cpu() - start, latencies)
        });
        latencies.sort_unstable();
        let slow = latencies[latencies.len() * 99 / 100];
        (cpu.as_nanos() as f64 / REQUESTS as f64, slow.as_nanos() as f64)
    }
}

async fn drive(service: &Router, requests: u64) -> Vec<Duration> {
    let clients = (0..CLIENTS).map(|_| {
        let service = service.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for number in 0..requests / CLIENTS {
                let request = http::Request::get(format!("/orders/{number}")).body(Body::empty()).expect("a request");
                let start = Instant::now();
                let response = service.clone().oneshot(request).await.expect("infallible");
                std::hint::black_box(axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body"));
                latencies.push(start.elapsed());
            }
            latencies
        })
    });
    let mut all = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        all.extend(client.await.expect("no panic"));
    }
    all
}

pub fn print() {
    let mut slow: Vec<(&str, Vec<f64>)> = MODES.iter().map(|mode| (*mode, Vec::new())).collect();
    let hosts = MODES.map(Host::new);
    let measured = measure_with(&MODES, ROUNDS, |mode| {
        let host = hosts.iter().find(|host| host.mode == mode).expect("one for each mode");
        let (cpu, latency) = host.round();
        slow.iter_mut().filter(|(name, _)| *name == mode).for_each(|(_, all)| all.push(latency));
        cpu
    });
    let bare = Unit::Micros.show(measured.of("bare"));
    for mode in &MODES[1..] {
        let what = format!("request of an axum service with {AWAITS} awaits, agent at {mode}: CPU over {bare} without");
        Row::new(what, "–", Unit::Micros.show(measured.over(mode, "bare"))).print();
    }
    for (mode, latencies) in slow {
        Row::new(format!("the same, p99, {mode}"), "–", Unit::Micros.show(Estimate::of(latencies))).print();
    }
}
