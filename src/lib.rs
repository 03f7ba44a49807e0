//! An agent that lives inside an async Rust service and answers one question: why was *this* request slow? It
//! traces a small share of requests, jobs or other units of work, and ships a flame graph of the slow ones as pprof.
//!
//! ```text
//!  host threads                                  │ the agent's own runtime (ractor on tokio, own threads)
//!                                                │
//!  unit / event ─► admission ─► Scope ── inbox ──┼─► Collector ─call─► TraceSessionSupervisor ─spawns─► TraceSession
//!    (dice first; then breaker, handler, dedupe) │      ▲  monitors sessions                                │
//!  Traced::poll: In/Out, frames ─► Recorder ═════╪══ event chunks ═════════════════════════════════════►    │
//!    native: await sites, wakes ──────▲          │                                                          │
//!    native: CPU samples ─► rings ═══════════════╪══ unwound, by trace, until it has ended ════════════►    │
//!  calls to actors: labelled receive/send ───────┼─► SeqTraceRouter (label -> session) ────────────────►    │
//!                                                │        call tree ─► threshold ─► names ─► profile filter │
//!                                                │   outbox ◄───────────────────────────────────────────────┘
//!                                                │     └─► Shipper ─► adapter (gRPC: pprof; local files; your own)
//! ```
//!
//! # Where to begin
//!
//! - [`Config::builder`] and [`FlameOn::start`] give a [`FlameOnGuard`], which owns the agent; [`FlameOn`] is a handle.
//! - `FlameOn::layer` traces a tower HTTP service (feature `tower`, with `axum` for matched paths).
//! - [`Collector::unit`] and [`Collector::event`] trace anything else; the [`Scope`] they return is what runs.
//! - Native capture (feature `native`, on Linux on x86_64 and aarch64) shows functions without a word in the code: where a
//!   task waits, who woke it, and what it computes, by stacks and CPU samples. [`ConfigBuilder::native_capture`] switches
//!   it off, [`NativeStats`] tells what it does. [`FrameExt::branch`] shows where the children of a combinator wait,
//!   [`FrameExt::task_named`] names a task for those whom it wakes.
//! - [`frame!`], [`in_frame`], [`FrameExt::in_frame`] and [`call_named`] add detail;
//!   `tracing_layer` takes it from the spans of `tracing` (feature `tracing`).
//! - [`ShipperAdapter`] sends traces elsewhere, [`EventHandler`] decides what is traced, [`FlameOn::stats`] tells what
//!   happened and what was dropped.
//!
//! ```
//! use flame_on::{Config, FlameOn, in_frame};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let config = Config::builder().ignore_env().service("shop").capture(true).sample_rate(1.0);
//! # let config = config.local_dir(dir.path());
//! let flame_on = FlameOn::start(config.build()?)?;
//! let sum = flame_on.unit("shop.batch", || "nightly").in_scope(|| in_frame("sum", || (1..=4).sum::<u32>()));
//! assert_eq!(sum, 10);
//! flame_on.shutdown_blocking(std::time::Duration::from_secs(2));
//! # Ok(())
//! # }
//! ```
//!
//! # Inside
//!
//! Dependencies point down: the handle (`agent`, `runtime`, `config`) -> `actors` -> `capture`, `shipping` -> `encode`,
//! `safety` -> `model`. `capture` is what runs in host threads, `model` is plain data and pure algorithms, and only
//! `capture::native` has unsafe code. The pages in `docs/design/` say why things are as they are.

mod actors;
mod agent;
mod capture;
mod config;
mod encode;
mod errors;
mod integrations;
mod model;
mod runtime;
mod safety;
mod shipping;
#[cfg(native_capture)]
mod symbols;
#[cfg(feature = "testing")]
pub mod testing;

pub use agent::{Collector, FlameOn, FlameOnGuard, ShutdownReport, StartError};
pub use capture::call::{CallNamed, call_named};
pub use capture::current::{current_trace_id, set_identifier};
pub use capture::frame::{FrameExt, FrameGuard, InFrame, in_frame};
pub use capture::scope::{Scope, Stopper, Traced};
pub use capture::task::{Branch, NamedTask};
pub use config::{Config, ConfigBuilder, Reloaded};
#[cfg(feature = "anyhow")]
pub use errors::api::capture_anyhow;
pub use errors::api::{
    add_breadcrumb, capture_error, capture_message, clear_context, configure_context, set_context, set_tag, set_user,
};
pub use errors::context::ErrorContext;
pub use errors::report::Report;
pub use errors::reporter::Reported;
pub use errors::task::{ErrorContextExt, WithErrorContext};
#[cfg(feature = "tower")]
pub use integrations::http_layer::{FlameOnLayer, FlameOnService, RequestInfo, ResponseFuture, TracedBody};
pub use integrations::job::{Job, JobReporter};
#[cfg(feature = "tower")]
pub use integrations::job_layer::{JobLayer, JobService};
#[cfg(feature = "log")]
pub use integrations::log::ErrorLogger;
#[cfg(feature = "ractor")]
pub use integrations::ractor;
#[cfg(feature = "ractor")]
pub use integrations::ractor::{Call, CallError, call, call_labelled};
pub use integrations::socket::{SocketEvent, SocketReporter};
#[cfg(feature = "tracing")]
pub use integrations::tracing_layer::{TracingLayer, tracing_layer};
#[cfg(feature = "tower")]
pub use integrations::unit_layer::{UnitLayer, UnitService};
pub use model::config::{
    Compression, ConfigError, CpuSignal, NativeCapture, Problem, Secret, ServerAddress, Settings, UnitSettings,
};
pub use model::counters::Stats;
pub use model::error_event::{Breadcrumb, ErrorEvent, Exception, RequestContext, Severity, StackFrame, User};
pub use model::event::{Capture, Decision, EventHandler, Metadata, StartEvent, Value};
pub use model::handler::DefaultHandler;
pub use model::ids::{EventId, InvalidTraceId, TraceId};
pub use model::native_stats::NativeStats;
pub use model::queue_stats::{QueueStats, SpoolStats};
pub use shipping::adapter::{BoxedAdapter, ShipContext, ShipperAdapter};
pub use shipping::errors::ErrorBatch;
pub use shipping::ship_error::ShipError;
pub use shipping::trace::{Trace, TraceBatch};

/// The README's code, for the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A heap-allocated future, spelled out so that no third-party type is in the signatures.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Not public: what the crate's macros expand to.
#[doc(hidden)]
pub mod __private {
    pub use crate::capture::frame::FrameSite;
    pub use crate::model::call_form;
}

/// Not public: an ingest server in this process, for the demo and the tests.
#[cfg(feature = "__server")]
#[doc(hidden)]
pub mod __server {
    pub use crate::encode::proto::perftools::profiles;
    pub use crate::shipping::grpc::server::{Answer, IngestServer, Received, ReceivedTrace};
}

/// Not public: what `tests/golden.rs` drives.
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "vectors.rs"]
pub mod __vectors;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "vectors_errors.rs"]
pub mod __vectors_errors;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "vectors_labels.rs"]
pub mod __vectors_labels;

/// Not public: what `benches/compare` drives.
#[cfg(feature = "testing")]
#[doc(hidden)]
#[path = "bench.rs"]
pub mod __bench;

/// Not public: what `tests/fork.rs` needs.
#[cfg(all(unix, feature = "testing"))]
#[doc(hidden)]
pub mod __fork {
    pub use crate::capture::native::fork::testing::{fork_and_check, is_off, watch};
}

/// Not public: what `tests/sampler….rs` need.
#[cfg(all(native_capture, feature = "testing"))]
#[doc(hidden)]
pub mod __sampler {
    pub use crate::capture::native::sampler::testing::{Counts, Probe, Sample, cost, host};
}

/// Opens a frame until the end of the enclosing block.
///
/// A statement, so that it cannot be dropped at once by mistake. For synchronous code: in a future, a frame
/// ends at the latest when the poll in which it began ends. Wrap a future with
/// [`in_frame`](crate::FrameExt::in_frame) instead.
///
/// ```
/// fn load(id: u64) -> String {
///     flame_on::frame!("load");
///     format!("user {id}")
/// }
/// # load(1);
/// ```
#[macro_export]
macro_rules! frame {
    ($name:literal) => {
        let _flame_on_frame = {
            static SITE: $crate::__private::FrameSite = $crate::__private::FrameSite::new($name);
            $crate::FrameGuard::__enter(&SITE)
        };
    };
}

/// Makes the [`Metadata`] of a start event; values borrow from the caller.
///
/// ```
/// let source = String::from("ftp");
/// let metadata = flame_on::metadata! { "source" => &source, "rows" => 17, "user" => None::<&str> };
/// # assert_eq!(flame_on::StartEvent::new("import", metadata).str("source"), Some("ftp"));
/// ```
#[macro_export]
macro_rules! metadata {
    ($($key:literal => $value:expr),* $(,)?) => {
        $crate::Metadata::new([$(($key, $crate::Value::from($value))),*])
    };
}

/// Not public: what `tests/symbol_memory.rs` needs.
#[cfg(all(native_capture, feature = "testing"))]
#[doc(hidden)]
pub mod __symbols {
    pub use crate::symbols::memory::Lookup;
}
