//! Where other libraries meet the agent: one file and one feature for each.
//!
//! Only the public API, `capture` and `model` may be used here, and no integration uses another one.

#[cfg(feature = "tower")]
pub(crate) mod http_layer;
pub(crate) mod job;
#[cfg(feature = "tower")]
pub(crate) mod job_layer;
#[cfg(feature = "log")]
pub(crate) mod log;
#[cfg(feature = "ractor")]
pub mod ractor;
pub(crate) mod socket;
#[cfg(feature = "tracing")]
pub(crate) mod tracing_layer;
#[cfg(feature = "tracing")]
pub(crate) mod tracing_records;
#[cfg(feature = "tower")]
pub(crate) mod unit_layer;
