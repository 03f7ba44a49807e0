//! What the safe language cannot reach: the only folder with unsafe code, behind safe functions.

#[cfg(native_capture)]
mod bell;
#[cfg(native_capture)]
pub(crate) mod capture;
pub(crate) mod fork;
#[cfg(native_capture)]
pub(crate) mod heap;
#[cfg(native_capture)]
mod loaded;
#[cfg(native_capture)]
mod modules;
#[cfg(native_capture)]
pub(crate) mod poll;
#[cfg(native_capture)]
pub(crate) mod priority;
#[cfg(native_capture)]
mod pump;
#[cfg(any(native_capture, miri))]
pub(crate) mod registers;
#[cfg(native_capture)]
pub(crate) mod sampler;
#[cfg(native_capture)]
mod samples;
#[cfg(own_clock)]
pub(crate) mod scale;
#[cfg(native_capture)]
pub(crate) mod thread_stack;
#[cfg(own_clock)]
pub(crate) mod ticks;
#[cfg(native_capture)]
pub(crate) mod unwind;
#[cfg(any(native_capture, miri))]
pub(crate) mod waker;

/// An address in the agent's own code.
#[cfg(native_capture)]
pub(crate) fn place_in_agent() -> u64 {
    unwind::refresh_modules as *const () as usize as u64
}

/// The stack pointer of the function that it is inlined into; zero without native capture.
#[cfg(native_capture)]
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    usize::try_from(registers::Registers::stack_pointer()).unwrap_or(0)
}

/// The stack pointer of the function that it is inlined into; zero without native capture.
#[cfg(not(native_capture))]
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    0
}
