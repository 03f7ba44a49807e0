//! What connects the capture to other crates: a feature and a file for each. Uses `capture`, `model` and the
//! public API; knows no actor of the agent's own.

#[cfg(feature = "ractor")]
pub mod ractor;
