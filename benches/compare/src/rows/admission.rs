//! A unit of work that is not sampled.

use std::hint::black_box;

use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::agents;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

const GOAL: &str = "≤ 5 ns";

/// fastrace asks for a reporter before it records anything.
pub struct NoReporter;

impl Reporter for NoReporter {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        black_box(spans);
    }
}

pub fn start_fastrace() {
    fastrace::set_reporter(NoReporter, Config::default());
}

/// A subscriber that hands every span to a tracer that samples none.
fn always_off() -> Dispatch {
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("compare"));
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

/// Lets the compiler leave nothing out, without moving the value.
#[inline]
pub fn seen<T>(value: &T) {
    black_box(value);
}

pub fn print() {
    let (never, almost_never) = (agents::start(0.0), agents::start(1e-9));
    let (zero, tiny) = (never.collector(), almost_never.collector());
    start_fastrace();
    let otel = always_off();
    let measured = measure(
        &mut [
            Case::of_loop("rate 0", || seen(&zero.unit("shop.batch", || "nightly"))),
            Case::of_loop("rate 1e-9", || seen(&tiny.unit("shop.batch", || "nightly"))),
            Case::of_loop("fastrace", || {
                let context = SpanContext::random().sampled(false);
                seen(&fastrace::Span::root("shop.batch", context));
            }),
            Case::new("otel", |operations| {
                tracing::dispatcher::with_default(&otel, || {
                    Case::of_loop("", || seen(&tracing::info_span!("shop.batch").entered())).run(operations)
                })
            }),
        ],
        50_000,
    );
    Row::new("admission, rate 0", GOAL, Unit::Nanos.show(measured.of("rate 0")))
        .peer("fastrace, root not sampled:", measured.of("fastrace"), Unit::Nanos, measured.ratio("fastrace", "rate 0"))
        .print();
    Row::new("admission, rate 1e-9, not sampled", GOAL, Unit::Nanos.show(measured.of("rate 1e-9")))
        .peer(
            "tracing-opentelemetry, AlwaysOff:",
            measured.of("otel"),
            Unit::Nanos,
            measured.ratio("otel", "rate 1e-9"),
        )
        .print();
}
