//! What `tests/loom` looks at in every order that the memory model allows is built of: it puts its own in the place of each.
//! Here they are the standard library's, and one queue.

#[cfg(any(native_capture, miri))]
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(native_capture)]
pub(crate) use std::sync::atomic::{AtomicI32, AtomicPtr};
#[cfg(native_capture)]
pub(crate) use std::thread::{Thread, park_timeout};

pub(crate) use crossbeam_queue::ArrayQueue;

/// So many of one kind. Loom's have no constant constructor.
macro_rules! array_of {
    ($new:expr; $number:expr) => {
        [const { $new }; $number]
    };
}
pub(crate) use array_of;

/// Statics. Loom's begin anew with each order.
#[cfg(any(native_capture, miri))]
macro_rules! statics {
    ($($item:item)*) => {
        $($item)*
    };
}
#[cfg(any(native_capture, miri))]
pub(crate) use statics;
