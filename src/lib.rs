//! FlameOn.
#![allow(dead_code)]

mod actors;
mod agent;
mod capture;
mod config;
mod encode;
mod integrations;
mod log;
mod model;
mod runtime;
mod safety;
mod shipping;
#[cfg(feature = "testing")]
pub mod testing;

pub use agent::{Collector, FlameOn, FlameOnGuard, ShutdownReport, StartError};
pub use capture::call::{CallNamed, call_named};
pub use capture::current::{current_trace_id, set_identifier};
pub use capture::frame::{FrameExt, FrameGuard, InFrame, in_frame};
pub use capture::scope::{Scope, Stopper, Traced};
pub use config::{Config, ConfigBuilder, Reloaded};
#[cfg(feature = "tower")]
pub use integrations::http_layer::{FlameOnLayer, FlameOnService, RequestInfo, ResponseFuture, TracedBody};
#[cfg(feature = "tower")]
pub use integrations::unit_layer::{UnitLayer, UnitService};
pub use model::config::{
    Compression, ConfigError, CpuSignal, NativeCapture, Problem, Secret, ServerAddress, Settings, UnitSettings,
};
pub use model::counters::Stats;
pub use model::event::{Capture, Decision, EventHandler, Metadata, StartEvent, Value};
pub use model::handler::DefaultHandler;
pub use model::ids::TraceId;
pub use shipping::adapter::{BoxedAdapter, ShipContext, ShipperAdapter};
#[cfg(feature = "__server")]
#[doc(hidden)]
pub use shipping::grpc::server;
pub use shipping::ship_error::ShipError;
pub use shipping::trace::{Trace, TraceBatch};

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
