//! A future that waits for a thousand others, in a trace and without one.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use flame_on::{FlameOnGuard, NativeCapture, UnitSettings};
use futures::future::select_all;
use tokio::sync::oneshot;

use crate::agents;
use crate::clocks::{process_cpu, thread_cpu};
use crate::harness::{Case, measure};
use crate::table::Row;

const MANY: usize = 1_000;
/// Traces of some 7 to 16 ms in a round.
const TRACES: u64 = 10;
/// Processes, in turns: within one, memory lies where it lies.
const PROCESSES: usize = 5;

/// By the argument of the child: what the agent captures.
const MODES: [(&str, &str); 4] = [
    ("off", "without native capture"),
    ("sites", "without CPU samples"),
    ("default", "as it is by default"),
    ("997", "997 CPU samples a second"),
];

/// Each of a thousand receivers in turn, with all that are left polled twice.
async fn selects() {
    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..MANY).map(|_| oneshot::channel::<()>()).unzip();
    let mut left = receivers;
    while let Some(sender) = senders.pop() {
        let mut sender = Some(sender);
        let mut waiting = select_all(left);
        let (_, _, others) = poll_fn(|cx| {
            let polled = Pin::new(&mut waiting).poll(cx);
            if let (Poll::Pending, Some(sender)) = (&polled, sender.take()) {
                sender.send(()).ok();
            }
            polled
        })
        .await;
        left = others;
    }
}

fn run(clock: fn() -> Duration, agent: Option<&FlameOnGuard>, runs: u64) -> Duration {
    let start = clock();
    for _ in 0..runs {
        match agent {
            Some(agent) => super::native::drive(agent.unit("shop.select", || "all").run(selects()), false),
            None => super::native::drive(selects(), false),
        }
    }
    if let Some(agent) = agent {
        agent.flush_blocking(Duration::from_secs(60));
    }
    clock() - start
}

/// Prints the ratios of all threads and of the host's own.
pub fn child(mode: &str) {
    let event = UnitSettings::new().threshold(Duration::from_secs(3_600));
    let builder = agents::builder().sample_rate(1.0).event("shop.select", event);
    let builder = match mode {
        "off" => builder.native_capture(NativeCapture::Off),
        "sites" => builder.cpu_sample_hz(0),
        "997" => builder.cpu_sample_hz(997),
        _ => builder,
    };
    let agent = agents::start_with(builder);
    // How long a tick takes is known by then.
    std::thread::sleep(Duration::from_millis(200));
    let ratio = |clock: fn() -> Duration| {
        let traced = Case::new("traced", |runs| run(clock, Some(&agent), runs));
        let measured = measure(&mut [Case::new("not", |runs| run(clock, None, runs)), traced], TRACES);
        measured.ratio("traced", "not").median
    };
    println!("{} {} {}", ratio(process_cpu), ratio(thread_cpu), agent.stats().native.sample_hz);
}

pub fn print() {
    let mut ratios = MODES.map(|_| (Vec::new(), Vec::new(), Vec::new()));
    for _ in 0..PROCESSES {
        for ((mode, _), (all, own, hz)) in MODES.iter().zip(&mut ratios) {
            let line = crate::output_of(&["select", mode]);
            let numbers: Vec<f64> = line.split_whitespace().map(|number| number.parse().expect("a number")).collect();
            let [of_all, of_own, of_hz] = numbers[..] else { panic!("{line:?}") };
            all.push(of_all);
            own.push(of_own);
            hz.push(of_hz);
        }
    }
    for ((mode, what), (all, own, hz)) in MODES.into_iter().zip(ratios) {
        let text = format!("{}; the host's own: {}; {} Hz", shown(all, 3), shown(own, 3), shown(hz, 0));
        let goal = if ["off", "997"].contains(&mode) { "–" } else { "≤ 1.05" };
        Row::new(format!("`select_all` over 1,000 futures, traced / not, {what}"), goal, text).print();
    }
}

/// The median, and from the least to the most.
fn shown(mut numbers: Vec<f64>, digits: usize) -> String {
    numbers.sort_by(f64::total_cmp);
    let (least, middle, most) = (numbers[0], numbers[numbers.len() / 2], numbers[numbers.len() - 1]);
    format!("{middle:.digits$} [{least:.digits$}, {most:.digits$}]")
}
