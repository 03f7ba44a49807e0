//! A sampled trace from its beginning to its end, the agent's threads included.

use std::thread::sleep;
use std::time::Duration;

use fastrace::collector::SpanContext;
use fastrace::local::LocalSpan;
use flame_on::{FlameOn, FlameOnGuard, Stats, UnitSettings};

use crate::agents;
use crate::harness::{Case, Measured, measure};
use crate::table::{Row, Unit};

/// Frames of a trace.
const FRAMES: usize = 10;
/// How traces come: so many, then a pause, 5,000 a second in all.
#[derive(Clone, Copy)]
struct Arrivals {
    burst: u64,
    pause: Duration,
}

/// One batch, and fewer than may run at one time. Each begins with cold caches, on a thread that has just slept.
const SHORT: Arrivals = Arrivals { burst: 50, pause: Duration::from_millis(10) };
/// Long enough to be warm.
const LONG: Arrivals = Arrivals { burst: 500, pause: Duration::from_millis(100) };

#[inline(never)]
fn work() {
    for _ in 0..FRAMES {
        flame_on::frame!("step");
        std::hint::black_box(0);
    }
}

impl Arrivals {
    /// Waits as often as a run of this many traces does, and does nothing else.
    fn pauses(self, traces: u64) -> Duration {
        let start = crate::clocks::process_cpu();
        (0..traces / self.burst).for_each(|_| sleep(self.pause));
        crate::clocks::process_cpu() - start
    }

    fn each(self, traces: u64, trace: impl Fn()) {
        for number in 0..traces {
            trace();
            if (number + 1).is_multiple_of(self.burst) {
                sleep(self.pause);
            }
        }
    }
}

/// An agent for one round: it is gone before the 10 s are over at whose average it would begin to shed work.
fn agent(threshold: Duration) -> FlameOnGuard {
    let event = UnitSettings::new().threshold(threshold);
    let builder = agents::builder().sample_rate(1.0).event("shop.batch", event).max_buffer_size(10_000);
    agents::start_with(builder.max_active_traces(4_096))
}

fn run(threshold: Duration, arrivals: Arrivals, traces: u64, check: impl Fn(&Stats) -> u64) -> Duration {
    let agent = agent(threshold);
    warm_up(&agent);
    run_with(&agent, arrivals, traces, check)
}

/// Names are read once, and buffers made.
fn warm_up(agent: &FlameOn) {
    (0..1_000).for_each(|_| agent.unit("shop.batch", || "nightly").in_scope(work));
    agents::settle(agent);
}

fn run_with(agent: &FlameOn, arrivals: Arrivals, traces: u64, check: impl Fn(&Stats) -> u64) -> Duration {
    let before = check(&agent.stats());
    let start = crate::clocks::process_cpu();
    arrivals.each(traces, || agent.unit("shop.batch", || "nightly").in_scope(work));
    agent.flush_blocking(Duration::from_secs(60));
    let took = crate::clocks::process_cpu() - start;
    assert_eq!(check(&agent.stats()) - before, traces, "all went the way that is measured");
    took
}

fn discarded(arrivals: Arrivals, traces: u64) -> Duration {
    run(Duration::from_secs(3_600), arrivals, traces, |stats| stats.below_threshold)
}

pub fn run_discarded(traces: u64) -> Duration {
    discarded(SHORT, traces)
}

pub fn run_shipped(traces: u64) -> Duration {
    run(Duration::ZERO, SHORT, traces, |stats| stats.shipped)
}

fn run_fastrace(arrivals: Arrivals, traces: u64) -> Duration {
    let start = crate::clocks::process_cpu();
    arrivals.each(traces, || {
        let root = fastrace::Span::root("shop.batch", SpanContext::random());
        let _parent = root.set_local_parent();
        for _ in 0..FRAMES {
            let _span = LocalSpan::enter_with_local_parent("step");
        }
    });
    fastrace::flush();
    crate::clocks::process_cpu() - start
}

pub fn print() {
    super::admission::start_fastrace();
    let measured = measure(
        &mut [
            Case::new("long pauses", |traces| LONG.pauses(traces)),
            Case::new("discarded", |traces| discarded(LONG, traces)),
            Case::new("fastrace", |traces| run_fastrace(LONG, traces)),
            Case::new("pauses", |traces| SHORT.pauses(traces)),
            Case::new("discarded cold", run_discarded),
            Case::new("fastrace cold", |traces| run_fastrace(SHORT, traces)),
        ],
        1_000,
    );
    // One agent for all rounds, as in a service: each new one reads names anew. Rests keep it below the processor time
    // from which on it would begin to shed work.
    let shipping = agent(Duration::ZERO);
    warm_up(&shipping);
    let shipped = measure(
        &mut [
            Case::new("pauses", |traces| SHORT.pauses(traces)),
            Case::new("shipped", |traces| {
                sleep(Duration::from_secs(1));
                run_with(&shipping, SHORT, traces, |stats| stats.shipped)
            }),
            Case::new("fastrace", |traces| run_fastrace(SHORT, traces)),
        ],
        1_000,
    );
    let row = |measured: &Measured, what, goal, (name, peer, pauses)| {
        Row::new(what, goal, Unit::Micros.show(measured.over(name, pauses))).peer(
            "fastrace, reported:",
            measured.over(peer, pauses),
            Unit::Micros,
            measured.ratio_over(peer, name, pauses),
        )
    };
    row(
        &measured,
        "trace of 10 frames, below its threshold, all threads",
        "≤ 2 µs",
        ("discarded", "fastrace", "long pauses"),
    )
    .print();
    row(&measured, "the same, 50 at a time after pauses of 10 ms", "–", ("discarded cold", "fastrace cold", "pauses"))
        .print();
    row(
        &shipped,
        "trace of 10 frames, shipped as pprof, 50 at a time, all threads",
        "≤ 40 µs",
        ("shipped", "fastrace", "pauses"),
    )
    .print();
}
