//! CPU samples: where a thread is while it polls a traced future, without help from the code that runs there.
//!
//! Each thread that polls traced futures has a POSIX timer of its own. Its signal finds the thread at work; the handler
//! copies the registers and the stack down from `Traced::poll` into a ring and arms the timer again. Everything else
//! (unwinding, names) happens later, in the agent's threads.
//!
//! What is here: the types of both sides, and the parts below the handler (ring, grid of ticks, limit, copy, registers).
//! TODO: the slots, the handler and the handle that an agent holds; nothing is sampled without them.

#![allow(unsafe_code)]

mod api;

#[cfg(all(target_os = "linux", target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;

pub(crate) use api::Registers;
