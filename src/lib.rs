//! FlameOn.
#![allow(dead_code)]

mod actors;
mod capture;
mod model;
mod safety;

/// Not public: what `tests/fork.rs` needs.
#[cfg(all(unix, feature = "testing"))]
#[doc(hidden)]
pub mod __fork {
    pub use crate::capture::native::fork::testing::{fork_and_check, is_off, watch};
}
