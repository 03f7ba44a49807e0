//! What the safe language cannot reach: the only folder with unsafe code, behind safe functions.

pub(crate) mod fork;
#[cfg(native_capture)]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
mod modules;
#[cfg(native_capture)]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
pub(crate) mod priority;
#[cfg(any(native_capture, miri))]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
pub(crate) mod registers;
#[cfg(native_capture)]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
pub(crate) mod sampler;
#[cfg(native_capture)]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
pub(crate) mod thread_stack;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) mod ticks;
#[cfg(native_capture)]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
pub(crate) mod unwind;
#[cfg(any(native_capture, miri))]
#[allow(dead_code, reason = "what puts the parts together comes after them")]
pub(crate) mod waker;
