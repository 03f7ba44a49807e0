//! A frame around a call, traced and not.

use std::hint::black_box;
use std::time::Duration;

use fastrace::collector::SpanContext;
use fastrace::local::LocalSpan;
use flame_on::{FlameOn, UnitSettings};

use super::admission::seen;
use crate::agents;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

/// Frames of one trace: 500 events fit into the first chunk, as those of an ordinary request do.
const FRAMES: u64 = 250;
/// Frames of a long trace: 20,000 events are 40 chunks, which the agent reads meanwhile.
const MANY_FRAMES: u64 = 10_000;

#[inline(never)]
fn bare(number: u64) -> u64 {
    black_box(number)
}

#[inline(never)]
fn framed(number: u64) -> u64 {
    flame_on::frame!("framed");
    black_box(number)
}

#[inline(never)]
fn framed_by_name(number: u64) -> u64 {
    flame_on::in_frame("framed", || black_box(number))
}

#[inline(never)]
fn framed_by_fastrace(number: u64) -> u64 {
    let _span = LocalSpan::enter_with_local_parent("framed");
    black_box(number)
}

#[inline(never)]
fn framed_by_puffin(number: u64) -> u64 {
    puffin::profile_scope!("framed");
    black_box(number)
}

/// The untraced calls, which `instructions` counts as well.
pub const UNTRACED: [(&str, fn(u64) -> u64); 4] =
    [("bare", bare), ("framed", framed), ("fastrace", framed_by_fastrace), ("puffin", framed_by_puffin)];

pub fn print() {
    print_traced();
    print_untraced();
}

fn time_calls(call: fn(u64) -> u64, frames: u64) -> Duration {
    let call = black_box(call);
    let start = crate::clocks::thread_cpu();
    for number in 0..frames {
        call(number);
    }
    crate::clocks::thread_cpu() - start
}

/// Only the calls are timed: neither the beginning of a trace nor its end.
fn in_traces(agent: &FlameOn, operations: u64, frames: u64, call: fn(u64) -> u64) -> Duration {
    let mut took = Duration::ZERO;
    let before = agent.stats().started;
    for _ in 0..operations / frames {
        agents::wait_until_idle(agent);
        took += agent.unit("shop.batch", || "nightly").in_scope(|| time_calls(call, frames));
    }
    assert_eq!(agent.stats().started - before, operations / frames, "all were sampled");
    took
}

/// Traced calls, for `instructions`.
pub fn traced(agent: &FlameOn, operations: u64) {
    in_traces(agent, operations, FRAMES, framed);
}

fn in_fastrace_roots(operations: u64) -> Duration {
    let roots = 0..operations / FRAMES;
    let took = roots.map(|_| {
        let root = fastrace::Span::root("shop.batch", SpanContext::random());
        let _parent = root.set_local_parent();
        time_calls(framed_by_fastrace, FRAMES)
    });
    let took = took.sum();
    fastrace::flush();
    took
}

fn in_puffin_scopes(operations: u64) -> Duration {
    puffin::set_scopes_on(true);
    let frames = 0..operations / FRAMES;
    let took = frames.map(|_| {
        let took = {
            puffin::profile_scope!("shop.batch");
            time_calls(framed_by_puffin, FRAMES)
        };
        puffin::GlobalProfiler::lock().new_frame();
        took
    });
    let took = took.sum();
    puffin::set_scopes_on(false);
    took
}

fn print_traced() {
    // Nothing is shipped, so that the agent's own work stays off the machine's other core.
    let never_slow = UnitSettings::new().threshold(Duration::from_secs(3_600));
    let agent = agents::start_with(agents::builder().sample_rate(1.0).event("shop.batch", never_slow));
    super::admission::start_fastrace();
    let clock = flame_on::__bench::RawClock::new();
    let measured = measure(
        &mut [
            Case::of_loop("clock", || seen(&clock.raw())),
            Case::new("bare", |operations| (0..operations / FRAMES).map(|_| time_calls(bare, FRAMES)).sum()),
            Case::new("frame!", |operations| in_traces(&agent, operations, FRAMES, framed)),
            Case::new("long", |operations| in_traces(&agent, operations, MANY_FRAMES, framed)),
            Case::new("in_frame", |operations| in_traces(&agent, operations, FRAMES, framed_by_name)),
            Case::new("fastrace", in_fastrace_roots),
            Case::new("puffin", in_puffin_scopes),
        ],
        2 * MANY_FRAMES,
    );
    let show = |name| Unit::Nanos.show(measured.over(name, "bare"));
    let row = |what: &str, goal, name| Row::new(what, goal, show(name));
    Row::new("one reading of the clock", "–", Unit::Nanos.show(measured.of("clock"))).print();
    row("`frame!`, traced, over the bare call", "two clock readings + 8 ns", "frame!")
        .peer(
            "fastrace, local span:",
            measured.over("fastrace", "bare"),
            Unit::Nanos,
            measured.ratio_over("fastrace", "frame!", "bare"),
        )
        .print();
    row("the same in a trace of 10,000 frames", "–", "long").print();
    row("`frame!`, traced, beside another peer", "two clock readings + 8 ns", "frame!")
        .peer("puffin:", measured.over("puffin", "bare"), Unit::Nanos, measured.ratio_over("puffin", "frame!", "bare"))
        .print();
    row("`in_frame`, traced, over the bare call", "–", "in_frame").print();
}

fn print_untraced() {
    let _agent = agents::start(0.0);
    let mut cases = UNTRACED.map(|(name, call)| {
        Case::new(name, move |operations| (0..operations / FRAMES).map(|_| time_calls(call, FRAMES)).sum())
    });
    let measured = measure(&mut cases, 800 * FRAMES);
    let over = |name| measured.over(name, "bare");
    Row::new("`frame!`, not traced, over the bare call", "≤ 2 ns", Unit::Nanos.show(over("framed")))
        .peer(
            "fastrace, local span without a parent:",
            over("fastrace"),
            Unit::Nanos,
            measured.ratio_over("fastrace", "framed", "bare"),
        )
        .print();
    Row::new("the same, beside another peer", "≤ 2 ns", Unit::Nanos.show(over("framed")))
        .peer("puffin, scopes off:", over("puffin"), Unit::Nanos, measured.ratio_over("puffin", "framed", "bare"))
        .print();
    Row::new("the bare call itself", "–", Unit::Nanos.show(measured.of("bare"))).print();
}
