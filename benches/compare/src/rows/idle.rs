//! What an agent costs that has nothing to do.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flame_on::FlameOn;

use crate::harness::measure_with;
use crate::table::{Row, Unit};

/// Seconds over which the CPU time is read, and how often.
const SECONDS: u64 = 10;
const LONG_ROUNDS: usize = 5;
const MEMORY_ROUNDS: usize = 21;

/// Anonymous resident memory of this process, in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line for it");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024.0
}

/// Prints the bytes that it takes, the nanoseconds until it is up, and its CPU nanoseconds while idle.
pub fn child(mode: &str, seconds: u64) {
    let before = resident();
    let start = Instant::now();
    let agent = (mode != "runtime").then(|| {
        let config = flame_on::Config::builder().ignore_env().capture(true).api_key("key").sample_rate(1.0);
        crate::agents::start_with(config.server_url("localhost:1"))
    });
    if mode == "runtime" {
        start_runtime();
    }
    let up = start.elapsed();
    let traces: Vec<_> = agent.iter().filter(|_| mode == "active").flat_map(|agent| asleep(agent)).collect();
    // It looks at the program's symbols once, on a thread behind all others.
    sleep(Duration::from_secs(2));
    let bytes = resident() - before;
    let cpu = crate::clocks::process_cpu();
    sleep(Duration::from_secs(seconds));
    let cpu = crate::clocks::process_cpu() - cpu;
    println!("{bytes} {} {}", up.as_nanos(), cpu.as_nanos());
    drop(traces);
    drop(agent);
}

/// As many traces as may be active, each asleep after three of its eight awaits.
fn asleep(agent: &FlameOn) -> impl Iterator<Item = Pin<Box<dyn Future<Output = ()>>>> {
    (0..256).map(|number| {
        let scope = agent.unit("shop.batch", || format!("batch {}", number % 16));
        let mut trace: Pin<Box<dyn Future<Output = ()>>> = Box::pin(scope.run(super::native::work(8)));
        for _ in 0..3 {
            assert!(trace.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        trace
    })
}

/// What the agent is compared with: a runtime with one thread that has nothing to do.
fn start_runtime() {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            ready.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    is_ready.recv().expect("a runtime");
}

fn figures(mode: &str, seconds: u64) -> [f64; 3] {
    let output = crate::output_of(&["idle", mode, &seconds.to_string()]);
    let figures: Vec<f64> = output.split_whitespace().map(|figure| figure.parse().expect("a number")).collect();
    figures.try_into().expect("three figures")
}

pub fn print() {
    let mut starts = Vec::new();
    let bytes = measure_with(&["agent", "active", "runtime"], MEMORY_ROUNDS, |mode| {
        let [bytes, up, _] = figures(mode, 0);
        starts.push((mode == "agent", up));
        bytes
    });
    let starts = starts.iter().filter(|(is_agent, _)| *is_agent).map(|(_, up)| *up);
    let cpu = measure_with(&["agent", "runtime"], LONG_ROUNDS, |mode| figures(mode, SECONDS)[2] / SECONDS as f64);
    let over = Unit::Mebibytes.show(bytes.over("agent", "runtime"));
    Row::new("idle agent, memory beyond an idle runtime", "≤ 4 MiB", over)
        .peer("idle runtime:", bytes.of("runtime"), Unit::Mebibytes, bytes.ratio("runtime", "agent"))
        .print();
    let active = Unit::Mebibytes.show(bytes.over("active", "agent"));
    Row::new("256 traces asleep, each with 3 await sites, beyond the idle agent", "–", active).print();
    let a_second = |estimate| format!("{} a second", Unit::Micros.show(estimate));
    Row::new("idle agent, CPU time", "about 0", a_second(cpu.of("agent")))
        .peer("idle runtime:", cpu.of("runtime"), Unit::Micros, cpu.ratio("runtime", "agent"))
        .print();
    Row::new("`FlameOn::start`", "≤ 50 ms", Unit::Millis.show(crate::stats::Estimate::of(starts))).print();
}
