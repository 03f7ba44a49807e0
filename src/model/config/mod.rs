//! What can be configured, and what a value may be: pure data and checks.
//!
//! ```text
//! keys (the one table) ─┬─► Settings   what was written, every key optional
//!                       ├─► Limits     the checked values that the rest of the crate uses
//!                       └─► setters, getters, environment, reload, docs/configuration.md (`crate::config`)
//! ```
//!
//! A new key is one entry in [`keys`]. Nothing here reads the environment or a file.

pub(crate) mod event_rules;
pub(crate) mod keys;
pub(crate) mod kinds;
mod limits;
mod problem;
mod secret;
mod server_address;
mod settings;
pub(crate) mod types;

pub use kinds::{Compression, CpuSignal, NativeCapture};
pub(crate) use limits::Limits;
pub use problem::{ConfigError, Problem};
pub use secret::Secret;
pub use server_address::ServerAddress;
pub use settings::{Settings, UnitSettings};
