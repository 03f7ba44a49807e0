//! Where other libraries meet the agent: one file and one feature for each.
//!
//! Only the public API, `capture` and `model` may be used here, and no integration uses another one.

#[cfg(feature = "tower")]
pub(crate) mod http_layer;
#[cfg(feature = "ractor")]
pub mod ractor;
#[cfg(feature = "tracing")]
pub(crate) mod tracing_layer;
#[cfg(feature = "tower")]
pub(crate) mod unit_layer;
