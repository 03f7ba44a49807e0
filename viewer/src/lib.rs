//! A local FlameOn server: it takes traces and errors over gRPC, keeps them in an embedded store and shows them as a web
//! page.
//!
//! ```text
//! agents ──gRPC──► ingest ──► store (SQLite) ◄── web ──HTTP──► browser
//!                              ▲
//! files ─── import, watch ─────┘
//! ```
//! The binary `flame-on-viewer` is this with a command line. A program can hold it as well:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use flame_on_viewer::{Options, Viewer};
//!
//! let viewer = Viewer::start(Options::default()).await?;
//! println!("ship to {}, look at http://{}", viewer.grpc_address(), viewer.http_address());
//! viewer.stop().await;
//! # Ok(())
//! # }
//! ```

mod graph;
mod hash;
mod ingest;
mod options;
#[doc(hidden)]
pub mod proto;
mod store;
mod summary;
mod text;
mod viewer;
mod web;

pub use ingest::files::ImportError;
pub use options::Options;
pub use store::{Bounds, Data, StoreError};
pub use summary::TraceSummary;
pub use viewer::{StartError, Viewer, import};
