//! What capturing an error costs the thread that captures it, and what its context costs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use flame_on::{Breadcrumb, Config, ConfigBuilder, ErrorBatch, FlameOnGuard, ShipContext, ShipError, ShipperAdapter};
use sentry_backtrace::AttachStacktraceIntegration;
use sentry_core::{Client, ClientOptions, Envelope, Hub, Transport};

use crate::agents;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

const GOAL: &str = "–";

struct ThrowAway;

impl ShipperAdapter<ErrorBatch> for ThrowAway {
    async fn ship(&self, batch: &ErrorBatch, _: &ShipContext) -> Result<(), ShipError> {
        black_box(batch.events());
        Ok(())
    }
}

impl Transport for ThrowAway {
    fn send_envelope(&self, envelope: Envelope) {
        black_box(envelope);
    }
}

/// What is captured waits for the end: the agent's own thread is not what is measured.
fn builder() -> ConfigBuilder {
    Config::builder()
        .ignore_env()
        .process_default(false)
        .capture_errors(true)
        .error_shipper(ThrowAway)
        .error_flush_interval(Duration::from_secs(3_000))
        .max_error_buffer_size(1_000_000)
        .max_error_batch_size(10_000)
        .max_outbox_bytes(16_usize << 30)
}

fn start(builder: ConfigBuilder) -> FlameOnGuard {
    agents::start_with(builder)
}

fn hub(options: ClientOptions) -> Arc<Hub> {
    Arc::new(Hub::new(Some(Arc::new(Client::from(options))), Arc::default()))
}

/// What every client here has in common.
fn options() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.default_integrations = false;
    options
}

/// A client that is on, with backtraces as ours has them.
fn sentry() -> Arc<Hub> {
    let mut options = options();
    options.dsn = "https://key@localhost/1".parse().ok();
    options.transport = Some(Arc::new(Arc::new(ThrowAway)));
    options.attach_stacktrace = true;
    hub(options.add_integration(AttachStacktraceIntegration::new()))
}

pub fn print() {
    print_off();
    print_on();
}

fn print_off() {
    let error = "x".parse::<u8>().expect_err("no number");
    let nobody = Arc::new(Hub::new(None, Arc::default()));
    let capture = |name| {
        Case::of_loop(name, || {
            black_box(flame_on::capture_error(black_box(&error)));
        })
    };
    let measured = measure(
        &mut [
            capture("no agent"),
            Case::new("sentry, no client", |operations| {
                Hub::run(nobody.clone(), || {
                    Case::of_loop("", || {
                        black_box(sentry_core::capture_error(black_box(&error)));
                    })
                    .run(operations)
                })
            }),
        ],
        20_000,
    );
    Row::new("capture an error, no agent", GOAL, Unit::Nanos.show(measured.of("no agent")))
        .peer(
            "sentry-core, no client:",
            measured.of("sentry, no client"),
            Unit::Nanos,
            measured.ratio("sentry, no client", "no agent"),
        )
        .print();
    let disabled = start(agents::builder().process_default(false));
    let off = hub(options());
    let measured = disabled.in_context(|| {
        measure(
            &mut [
                capture("disabled"),
                Case::new("sentry, no DSN", |operations| {
                    Hub::run(off.clone(), || {
                        Case::of_loop("", || {
                            black_box(sentry_core::capture_error(black_box(&error)));
                        })
                        .run(operations)
                    })
                }),
            ],
            2_000,
        )
    });
    Row::new("capture an error, `capture_errors` off", GOAL, Unit::Nanos.show(measured.of("disabled")))
        .peer(
            "sentry-core, no DSN:",
            measured.of("sentry, no DSN"),
            Unit::Nanos,
            measured.ratio("sentry, no DSN", "disabled"),
        )
        .print();
}

fn print_on() {
    let error = "x".parse::<u8>().expect_err("no number");
    let every = start(builder().error_dedupe_window(Duration::ZERO));
    let once = start(builder().error_dedupe_window(Duration::from_secs(3_600)));
    let sentry = sentry();
    let with_sentry = |operations: u64, operation: &mut dyn FnMut()| {
        Hub::run(sentry.clone(), || Case::of_loop("", operation).run(operations))
    };
    let captured = measure(
        &mut [
            Case::new("every", |operations| {
                every.in_context(|| {
                    Case::of_loop("", || {
                        black_box(flame_on::capture_error(black_box(&error)));
                    })
                    .run(operations)
                })
            }),
            Case::new("sentry", |operations| {
                with_sentry(operations, &mut || {
                    black_box(sentry_core::capture_error(black_box(&error)));
                })
            }),
        ],
        100,
    );
    Row::new("capture an error with a backtrace, its thread's part", GOAL, Unit::Micros.show(captured.of("every")))
        .peer("sentry-core + sentry-backtrace:", captured.of("sentry"), Unit::Micros, captured.ratio("sentry", "every"))
        .print();
    let cheap = measure(
        &mut [
            Case::new("duplicate", |operations| {
                once.in_context(|| {
                    Case::of_loop("", || {
                        black_box(flame_on::capture_error(black_box(&error)));
                    })
                    .run(operations)
                })
            }),
            Case::new("tag", |operations| {
                once.in_context(|| Case::of_loop("", || flame_on::set_tag("shop", "eu")).run(operations))
            }),
            Case::new("sentry tag", |operations| {
                with_sentry(operations, &mut || sentry_core::configure_scope(|scope| scope.set_tag("shop", "eu")))
            }),
            Case::new("crumb", |operations| {
                once.in_context(|| {
                    Case::of_loop("", || flame_on::add_breadcrumb(Breadcrumb::new("cart", "added"))).run(operations)
                })
            }),
            Case::new("sentry crumb", |operations| {
                with_sentry(operations, &mut || {
                    sentry_core::add_breadcrumb(sentry_core::Breadcrumb {
                        category: Some("cart".into()),
                        message: Some("added".into()),
                        ..Default::default()
                    });
                })
            }),
        ],
        10_000,
    );
    Row::new("capture a duplicate", "< 1 µs", Unit::Nanos.show(cheap.of("duplicate"))).print();
    for (what, ours, peer) in
        [("set a tag in a scope", "tag", "sentry tag"), ("add a breadcrumb in a scope", "crumb", "sentry crumb")]
    {
        Row::new(what, GOAL, Unit::Nanos.show(cheap.of(ours)))
            .peer("sentry-core:", cheap.of(peer), Unit::Nanos, cheap.ratio(peer, ours))
            .print();
    }
}
