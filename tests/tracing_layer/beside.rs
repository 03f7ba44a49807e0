//! Other layers write the same with the layer and without it, and no level hint of a stack is moved.

use std::io;
use std::sync::{Arc, Mutex};

use flame_on::testing::TestAgent;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, Level, Subscriber, debug, debug_span, error, info, info_span, trace, trace_span};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::{EnvFilter, fmt};

/// What a layer has written.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Writes a line for each span that is exported, without its ids and times.
#[derive(Debug)]
struct Lines(Written);

impl SpanExporter for Lines {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut text = self.0.0.lock().unwrap();
        for span in batch {
            let is_root = span.parent_span_id == opentelemetry::trace::SpanId::INVALID;
            let events: Vec<_> = span.events.iter().map(|event| &event.name).collect();
            let SpanData { name, attributes, status, .. } = &span;
            text.extend(format!("{name} root={is_root} {attributes:?} {events:?} {status:?}\n").bytes());
        }
        Ok(())
    }
}

fn written_by<S>(written: &Written) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let to = written.clone();
    fmt::layer().with_ansi(false).without_time().with_span_events(FmtSpan::FULL).with_writer(move || to.clone())
}

fn exported_by<S>(written: &Written) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let provider = SdkTracerProvider::builder().with_simple_exporter(Lines(written.clone())).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    layer.with_tracked_inactivity(false).with_threads(false).with_location(false)
}

fn filter() -> EnvFilter {
    EnvFilter::new("info,noisy=off,[asked{user=7}]=trace")
}

/// A service's spans and events: nested, instrumented, at every level, of several targets, out of order.
fn work() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    info_span!("request", path = "/").in_scope(|| {
        info!(bytes = 3, "read");
        debug_span!("detail").in_scope(|| debug!("inner"));
        info_span!(target: "noisy", "loud").in_scope(|| error!(target: "noisy", "louder"));
        info_span!("asked", user = 7).in_scope(|| trace!("why"));
        let later = info_span!("later");
        runtime.block_on(
            async {
                tokio::task::yield_now().await;
                info!("between");
                async { trace_span!("least").in_scope(|| trace!("least")) }.await;
            }
            .instrument(info_span!("waiting", n = 1)),
        );
        let (first, second) = (info_span!("first").entered(), info_span!("second").entered());
        drop(first);
        later.in_scope(|| error!("failed"));
        drop(second);
    });
}

/// What is written while the work runs in a trace.
fn write(make: impl FnOnce(&Written, &Written) -> tracing::Dispatch) -> (String, String) {
    let (logged, exported) = (Written::default(), Written::default());
    let dispatch = make(&logged, &exported);
    let agent = TestAgent::start().unwrap();
    tracing::dispatcher::with_default(&dispatch, || agent.unit("shop.batch", || "nightly").in_scope(work));
    assert_eq!(agent.traces_blocking().len(), 1);
    drop(dispatch);
    (logged.text(), exported.text())
}

/// Compares a stack with the same that has the layer inside, outside, or twice.
macro_rules! assert_same {
    ($logged:ident, $exported:ident => $($layer:expr),+; $holds:expr) => {{
        let plain = write(|$logged, $exported| Registry::default()$(.with($layer))+.into());
        assert!(plain.0.contains($holds), "nothing to compare: {}", plain.0);
        let layer = flame_on::tracing_layer;
        let outside = write(|$logged, $exported| Registry::default()$(.with($layer))+.with(layer()).into());
        assert_eq!(outside, plain);
        let inside = write(|$logged, $exported| Registry::default().with(layer())$(.with($layer))+.into());
        assert_eq!(inside, plain);
        let deaf = || layer().with_max_level(LevelFilter::OFF);
        let switched_off = write(|$logged, $exported| Registry::default().with(deaf())$(.with($layer))+.with(deaf()).into());
        assert_eq!(switched_off, plain);
        let filtered = || layer().with_max_level(Level::TRACE).with_filter(LevelFilter::INFO);
        let with_filter = write(|$logged, $exported| Registry::default()$(.with($layer))+.with(filtered()).into());
        assert_eq!(with_filter, plain);
    }};
}

#[test]
fn fmt_writes_the_same_without_any_filter() {
    assert_same!(logged, _exported => written_by(logged); "TRACE");
}

#[test]
fn fmt_behind_an_env_filter_for_all_writes_the_same() {
    assert_same!(logged, _exported => filter(), written_by(logged); "asked{user=7}: tracing_layer::beside: why");
}

#[test]
fn fmt_with_an_env_filter_of_its_own_writes_the_same() {
    assert_same!(logged, _exported => written_by(logged).with_filter(filter()); "between");
}

#[test]
fn fmt_and_opentelemetry_write_the_same_with_one_filter_and_with_one_each() {
    assert_same!(logged, exported => filter(), written_by(logged), exported_by(exported); "between");
    assert_same!(logged, exported => written_by(logged).with_filter(filter()), exported_by(exported).with_filter(LevelFilter::DEBUG); "between");
    let exports = write(|_, to| Registry::default().with(flame_on::tracing_layer()).with(exported_by(to)).into()).1;
    assert!(exports.contains("waiting root=false") && exports.contains("request root=true"), "{exports}");
}

#[test]
fn no_level_hint_is_moved() {
    let nowhere = Written::default();
    let hint = |subscriber: &dyn Subscriber| subscriber.max_level_hint();
    let registry = Registry::default;
    let layer = flame_on::tracing_layer;
    let info = Some(LevelFilter::INFO);
    // The layer alone, and beside a layer that wants all.
    assert_eq!(hint(&registry()), None);
    assert_eq!(hint(&registry().with(layer())), None);
    assert_eq!(hint(&registry().with(layer()).with(written_by(&nowhere))), None);
    // One filter for all: inside and outside of it.
    assert_eq!(hint(&registry().with(LevelFilter::INFO).with(written_by(&nowhere))), info);
    assert_eq!(hint(&registry().with(LevelFilter::INFO).with(written_by(&nowhere)).with(layer())), info);
    assert_eq!(hint(&registry().with(layer()).with(written_by(&nowhere)).with(LevelFilter::INFO)), info);
    assert_eq!(hint(&registry().with(EnvFilter::new("info")).with(layer()).with(written_by(&nowhere))), info);
    // A layer without a filter wants all, as any does; with one of its own it moves nothing.
    assert_eq!(hint(&registry().with(written_by(&nowhere).with_filter(LevelFilter::INFO))), info);
    assert_eq!(hint(&registry().with(written_by(&nowhere).with_filter(LevelFilter::INFO)).with(layer())), None);
    assert_eq!(
        hint(
            &registry()
                .with(written_by(&nowhere).with_filter(LevelFilter::INFO))
                .with(layer().with_filter(LevelFilter::INFO))
        ),
        info
    );
}
