//! CPU samples: where a thread is while it polls a traced future, without help from the code that runs there.
//!
//! Each thread that polls traced futures has a POSIX timer of its own. Its signal finds the thread at work; the handler
//! copies the registers and the stack down from `Traced::poll` into a ring and arms the timer again. Everything else
//! (unwinding, names) happens later, in the agent's threads.
//!
//! ```text
//!  host thread   enter ──► seat ──► slot: label, base ──► timer (one-shot, CLOCK_MONOTONIC)
//!                                     ▲                      │ signal
//!                leave ───────────────┘     handler ◄────────┘
//!                                             │ registers, stack
//!  agent         drain ◄──────────────────── ring
//! ```
//!
//! Nothing here may allocate, lock or panic in the handler, and nothing in `enter` and `leave` makes a system call while
//! the timer is armed. `docs/design/cpu-sampling.md` has the argument in one piece.

#![allow(unsafe_code)]

mod api;
mod linux;
#[cfg(feature = "testing")]
pub(crate) mod testing;

pub(crate) use self::{
    api::{RawSample, SampleRate, SamplerError, SamplerSettings, SamplerStats},
    linux::{Entered, Sampler},
};
