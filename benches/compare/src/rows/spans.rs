//! The host's own spans, with the layer that makes frames of them and without it.

use std::hint::black_box;
use std::time::Duration;

use flame_on::{FlameOn, UnitSettings};
use tracing::{Dispatch, Span, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::admission::seen;
use crate::agents;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

/// Spans of one trace: their 300 events fit into the first chunk.
const SPANS: u64 = 100;

fn alone() -> Dispatch {
    registry().into()
}

fn layered() -> Dispatch {
    registry().with(flame_on::tracing_layer()).into()
}

/// What `instructions` counts: made, entered, exited and closed, or a span of before entered and exited.
pub const CASES: [&str; 6] =
    ["span, registry", "span, layer", "span, layer, traced", "enter, registry", "enter, layer", "enter, layer, traced"];

fn make(number: u64) {
    info_span!("work").in_scope(|| seen(&number));
}

fn enter(span: &Span, number: u64) {
    span.in_scope(|| seen(&number));
}

/// Runs one of [`CASES`].
pub fn run(case: &str, count: u64) {
    let dispatch = if case.contains("layer") { layered() } else { alone() };
    tracing::dispatcher::set_global_default(dispatch).expect("the first one");
    let span = info_span!("kept");
    let work = |number| if case.starts_with("span") { make(number) } else { enter(&span, number) };
    if case.ends_with("traced") {
        in_traces(&never_slow(), count, work);
    } else {
        (0..black_box(count)).for_each(work);
    }
}

fn never_slow() -> flame_on::FlameOnGuard {
    let never_slow = UnitSettings::new().threshold(Duration::from_secs(3_600));
    agents::start_with(agents::builder().sample_rate(1.0).event("shop.batch", never_slow))
}

/// Only the spans are timed: neither the beginning of a trace nor its end.
fn in_traces(agent: &FlameOn, operations: u64, work: impl Fn(u64)) -> Duration {
    let traces = (0..operations / SPANS).map(|_| {
        agents::wait_until_idle(agent);
        agent.unit("shop.batch", || "nightly").in_scope(|| {
            let start = crate::clocks::thread_cpu();
            (0..SPANS).for_each(&work);
            crate::clocks::thread_cpu() - start
        })
    });
    traces.sum()
}

pub fn print() {
    let agent = never_slow();
    let (alone, layered) = (alone(), layered());
    let untraced = |dispatch: &Dispatch, work: &dyn Fn(u64), operations: u64| {
        tracing::dispatcher::with_default(dispatch, || {
            let start = crate::clocks::thread_cpu();
            (0..operations).for_each(work);
            crate::clocks::thread_cpu() - start
        })
    };
    let traced = |operations| tracing::dispatcher::with_default(&layered, || in_traces(&agent, operations, make));
    let kept = |dispatch: &Dispatch| tracing::dispatcher::with_default(dispatch, || info_span!("kept"));
    let (kept_alone, kept_layered) = (kept(&alone), kept(&layered));
    let measured = measure(
        &mut [
            Case::new("alone", |operations| untraced(&alone, &make, operations)),
            Case::new("layer", |operations| untraced(&layered, &make, operations)),
            Case::new("traced", traced),
            Case::new("enter alone", |operations| untraced(&alone, &|n| enter(&kept_alone, n), operations)),
            Case::new("enter layer", |operations| untraced(&layered, &|n| enter(&kept_layered, n), operations)),
        ],
        100 * SPANS,
    );
    let row = |what: &str, name, base| {
        Row::new(what, "–", Unit::Nanos.show(measured.over(name, base)))
            .peer("the registry alone:", measured.of(base), Unit::Nanos, measured.ratio(base, name))
            .print();
    };
    row("a span made, entered and closed, not traced: what the layer adds", "layer", "alone");
    row("the same, entering and exiting alone", "enter layer", "enter alone");
    row("a span as a frame, traced: what the layer adds", "traced", "alone");
}
