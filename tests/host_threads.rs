//! Encoding and sending are the agent's work: the host's threads do none of it. A binary of its own, because it counts the
//! CPU time of the whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that says what it has measured")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{PATIENCE, UNIT, config};
use flame_on::__server::IngestServer;
use flame_on::{
    Config, ConfigBuilder, FlameOn, FlameOnGuard, ShipContext, ShipError, ShipperAdapter, TraceBatch, in_frame,
};
use tokio::runtime::{Builder, Runtime};

const TRACES: usize = 1_000;
/// The runtime of the host, and that of the server that stands for another machine.
const HOST: &str = "host";
const SERVER: &str = "server";
const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

/// CPU time in ns of those threads of this process whose name is none of the agent's or of the server's.
fn cpu_of_host() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let is_host = |name: &str| !name.starts_with("flame-on") && !name.starts_with(SERVER);
    let cpu = tasks.filter_map(|task| {
        // A thread may be gone by now.
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let spent = fs::read_to_string(task.join("schedstat")).ok()?;
        is_host(name.trim()).then(|| spent.split(' ').next().unwrap().parse::<u64>().unwrap())
    });
    cpu.sum()
}

/// CPU time in ns of the whole process, the threads that have ended included.
fn cpu_of_all() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux.
    ticks * 10_000_000
}

/// A hundred paths.
fn work() {
    for outer in NAMES {
        in_frame(outer, || NAMES.iter().for_each(|inner| in_frame(inner, || std::hint::black_box(()))));
    }
}

/// Traces that wait in the outbox until a flush.
fn start(config: ConfigBuilder) -> FlameOnGuard {
    let config = config
        .max_buffer_size(10 * TRACES)
        .max_batch_size(10 * TRACES)
        .max_outbox_bytes(1 << 30)
        .max_capture_bytes(1 << 30)
        .function_length_threshold(0.005)
        .flush_interval(Duration::from_secs(3_600));
    FlameOn::start(config.build().unwrap()).unwrap()
}

fn trace_all(agent: &FlameOn, host: &Runtime) {
    host.block_on(async {
        for number in 0..TRACES {
            let unit = agent.unit(UNIT, || format!("unit {number}"));
            tokio::spawn(unit.run(async { work() })).await.unwrap();
            // What is being finished is bounded.
            while agent.active_traces() > 32 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        common::eventually_async("all wait to be shipped", || agent.stats().outbox_traces == TRACES as u64).await;
    });
}

/// One test at a time: what the other does would count.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_thousand_traces_are_encoded_and_sent_without_the_hosts_threads() {
    let _alone = alone();
    let (host, servers) = (runtime(HOST), runtime(SERVER));
    let server = servers.block_on(servers.spawn(IngestServer::start(([127, 0, 0, 1], 0).into()))).unwrap().unwrap();
    let to_server = Config::builder()
        .ignore_env()
        .process_default(false)
        .capture(true)
        .sample_rate(1.0)
        .dedupe_enabled(false)
        .native_capture(flame_on::NativeCapture::Off)
        .event(UNIT, flame_on::UnitSettings::new().threshold(Duration::ZERO))
        .server_url(server.address().to_string())
        .use_ssl(false)
        .send_timeout(PATIENCE);
    let agent = start(to_server);
    trace_all(&agent, &host);
    let (host_before, all_before) = (cpu_of_host(), cpu_of_all());
    assert!(agent.flush_blocking(PATIENCE).within_deadline, "{:#?}", agent.stats());
    let (host_spent, all_spent) = (cpu_of_host() - host_before, cpu_of_all() - all_before);
    let received: usize = server.received().iter().map(|batch| batch.traces.len()).sum();
    assert_eq!(received, TRACES);
    eprintln!(
        "{TRACES} traces encoded and sent: {} ms of CPU, {} µs of it the host's",
        all_spent / 1_000_000,
        host_spent / 1_000
    );
    assert!(all_spent > 0 && host_spent < all_spent / 20, "{host_spent} of {all_spent} ns are the host's");
}

/// Asks for the bytes of each trace, and notes who does.
#[derive(Clone, Default)]
struct Named(Arc<Mutex<HashSet<String>>>);

impl ShipperAdapter<TraceBatch> for Named {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        assert!(batch.traces().iter().all(|trace| !trace.pprof().is_empty()));
        self.0.lock().unwrap().insert(std::thread::current().name().unwrap_or_default().to_owned());
        Ok(())
    }
}

#[test]
fn an_adapter_of_the_hosts_runs_on_the_agents_threads_too() {
    let _alone = alone();
    let (host, named) = (runtime(HOST), Named::default());
    let agent = start(config(named.clone()));
    trace_all(&agent, &host);
    assert!(host.block_on(agent.flush(PATIENCE)).within_deadline);
    let names = named.0.lock().unwrap().clone();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("flame-on-work")), "{names:?}");
}
