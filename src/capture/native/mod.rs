//! What the safe language cannot reach: the only folder with unsafe code, behind safe functions.

pub(crate) mod fork;
#[cfg(native_capture)]
#[allow(dead_code, reason = "its users come with the wakers")]
mod modules;
#[allow(dead_code, reason = "its users come with the wakers")]
pub(crate) mod registers;
#[cfg(native_capture)]
#[allow(dead_code, reason = "its users come with the wakers")]
pub(crate) mod thread_stack;
#[cfg(native_capture)]
#[allow(dead_code, reason = "its users come with the wakers")]
pub(crate) mod unwind;
