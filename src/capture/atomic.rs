//! The atomics of what `tests/loom` looks at in every order that the memory model allows: it puts its own in their place.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
