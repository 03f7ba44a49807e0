//! A sampled trace from its beginning to its end, the agent's threads included.

use std::thread::sleep;
use std::time::Duration;

use fastrace::collector::SpanContext;
use fastrace::local::LocalSpan;
use flame_on::{FlameOnGuard, Stats, UnitSettings};

use crate::agents;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

/// Frames of a trace.
const FRAMES: usize = 10;
/// Traces between two pauses: one batch, and fewer than may run at one time.
const BURST: u64 = 50;
const PAUSE: Duration = Duration::from_millis(10);

#[inline(never)]
fn work() {
    for _ in 0..FRAMES {
        flame_on::frame!("step");
        std::hint::black_box(0);
    }
}

/// Waits as often as a run of this many traces does, and does nothing else.
fn pauses(traces: u64) -> Duration {
    let start = crate::clocks::process_cpu();
    (0..traces / BURST).for_each(|_| sleep(PAUSE));
    crate::clocks::process_cpu() - start
}

/// An agent for one round: it is gone before the 10 s are over at whose average it would begin to shed work.
fn agent(threshold: Duration) -> FlameOnGuard {
    let event = UnitSettings::new().threshold(threshold);
    let builder = agents::builder().sample_rate(1.0).event("shop.batch", event).max_buffer_size(10_000);
    agents::start_with(builder.max_active_traces(4_096))
}

fn run(threshold: Duration, traces: u64, check: impl Fn(&Stats) -> u64) -> Duration {
    let agent = agent(threshold);
    // Names are read once.
    (0..20 * BURST).for_each(|_| agent.unit("shop.batch", || "nightly").in_scope(work));
    agents::settle(&agent);
    let before = check(&agent.stats());
    let start = crate::clocks::process_cpu();
    for trace in 0..traces {
        agent.unit("shop.batch", || "nightly").in_scope(work);
        if (trace + 1) % BURST == 0 {
            sleep(PAUSE);
        }
    }
    agent.flush_blocking(Duration::from_secs(60));
    let took = crate::clocks::process_cpu() - start;
    assert_eq!(check(&agent.stats()) - before, traces, "all went the way that is measured");
    took
}

pub fn run_discarded(traces: u64) -> Duration {
    run(Duration::from_secs(3_600), traces, |stats| stats.below_threshold)
}

pub fn run_shipped(traces: u64) -> Duration {
    run(Duration::ZERO, traces, |stats| stats.shipped)
}

fn run_fastrace(traces: u64) -> Duration {
    let start = crate::clocks::process_cpu();
    for trace in 0..traces {
        let root = fastrace::Span::root("shop.batch", SpanContext::random());
        let _parent = root.set_local_parent();
        for _ in 0..FRAMES {
            let _span = LocalSpan::enter_with_local_parent("step");
        }
        if (trace + 1) % BURST == 0 {
            sleep(PAUSE);
        }
    }
    fastrace::flush();
    crate::clocks::process_cpu() - start
}

pub fn print() {
    super::admission::start_fastrace();
    let measured = measure(
        &mut [
            Case::new("pauses", pauses),
            Case::new("discarded", run_discarded),
            Case::new("shipped", run_shipped),
            Case::new("fastrace", run_fastrace),
        ],
        20 * BURST,
    );
    let over = |name| measured.over(name, "pauses");
    Row::new("trace of 10 frames, below its threshold, all threads", "≤ 2 µs", Unit::Micros.show(over("discarded")))
        .print();
    Row::new("trace of 10 frames, shipped as pprof, all threads", "≤ 40 µs", Unit::Micros.show(over("shipped")))
        .peer(
            "fastrace, reported:",
            over("fastrace"),
            Unit::Micros,
            measured.ratio_over("fastrace", "shipped", "pauses"),
        )
        .print();
}
