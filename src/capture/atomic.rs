//! The atomics of what `tests/loom` looks at in every order that the memory model allows: it puts its own in their place.

#[cfg(any(native_capture, miri))]
pub(crate) use std::sync::atomic::AtomicU64;
pub(crate) use std::sync::atomic::{AtomicU32, Ordering};
