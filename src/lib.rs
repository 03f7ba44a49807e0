//! FlameOn.
#![allow(dead_code)]

mod encode;
mod model;

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "vectors.rs"]
pub mod __vectors;
