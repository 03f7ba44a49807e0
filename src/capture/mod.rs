//! The hot path: everything that runs in the host's threads.
//!
//! Here nothing may panic, wait, format or make a system call, no lock may be held that another thread can
//! hold for long, and in the steady state nothing is allocated. Nothing here knows an actor: what the agent
//! must hear of goes into a bounded [`inbox`], and what it may have to look for into a table ([`fresh`]).

pub(crate) mod admission;
pub(crate) mod call;
pub(crate) mod chunk;
pub(crate) mod clock;
pub(crate) mod core;
pub(crate) mod current;
pub(crate) mod decoder;
pub(crate) mod dice;
pub(crate) mod frame;
pub(crate) mod fresh;
pub(crate) mod inbox;
pub(crate) mod lane;
pub(crate) mod native;
mod open;
pub(crate) mod reader;
pub(crate) mod recorder;
mod rings;
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod scope;
mod signal;
pub(crate) mod task;
pub(crate) mod trace;
#[cfg(any(native_capture, miri))]
pub(crate) mod wakes;
#[cfg(native_capture)]
mod wakes_pool;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]
pub(crate) mod tests;
