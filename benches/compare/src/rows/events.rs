//! The host's own `tracing` events, with the agent in the process and without it.

use std::fmt::{Debug, Write as _};
use std::hint::black_box;
use std::thread::sleep;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::agents;
use crate::harness::{Case, ROUNDS, measure_with};
use crate::table::{Row, Unit};

const EVENTS: u64 = 200_000;

/// Formats an event as a logger does, and throws the line away.
struct Format;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("a string takes all");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Format {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::with_capacity(64));
        event.record(&mut line);
        black_box(line.0);
    }
}

/// Measures in a process of its own, because a subscriber that was once there leaves its traces in `tracing`.
pub fn child(mode: &str) {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Format)).expect("the first one");
    let agent = (mode != "without").then(|| agents::start(1.0));
    if let Some(agent) = agent.as_deref().filter(|_| mode == "busy") {
        let agent = agent.clone();
        std::thread::spawn(move || {
            loop {
                agent.unit("shop.batch", || "nightly").in_scope(|| ());
                sleep(Duration::from_millis(1));
            }
        });
    }
    let mut case = Case::of_loop("", || tracing::info!(user = black_box(7), "order placed"));
    case.run(EVENTS / 10);
    println!("{}", case.run(EVENTS).as_nanos() as f64 / EVENTS as f64);
}

pub fn print() {
    let measured = measure_with(&["without", "idle", "busy"], ROUNDS, |mode| {
        crate::output_of(&["events", mode]).trim().parse().expect("a number")
    });
    for (name, what) in [("idle", "beside an idle agent"), ("busy", "beside an agent with 1,000 traces a second")] {
        Row::new(format!("the host's `tracing` event, {what}"), "unchanged", Unit::Nanos.show(measured.of(name)))
            .peer("without the agent:", measured.of("without"), Unit::Nanos, measured.ratio("without", name))
            .print();
    }
}
