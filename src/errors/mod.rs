//! The error API: reports and the context they carry, and the panic hook.
//!
//! ```text
//!  host thread                                                  │ the agent's blocking pool
//!                                                               │
//!  Report ─┐  duplicate? ─► event ─► context ─► redact, cut ─► queue ─► backtrace resolved ─► before_send ─► adapter
//!  panic ──┘  (by hash,     (chain,   (of the                   │       source lines
//!             first)        unwound    task)                    │
//!                           frames)
//! ```
//!
//! What runs in host threads is everything up to the queue: nothing there resolves a symbol, reads a file or waits,
//! and a panic in the host's own code (a `Display`, a `Serialize`) is contained. `model` and `capture` may be used
//! here, and the handle; no actor, and nothing that ships: an event goes into the closure that the agent has given.

pub(crate) mod api;
pub(crate) mod backtrace;
pub(crate) mod capture;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod finish;
pub(crate) mod kind;
#[cfg_attr(not(any(feature = "log", feature = "tracing")), allow(dead_code, reason = "its users are behind features"))]
pub(crate) mod logger;
pub(crate) mod panic_hook;
pub(crate) mod parse;
pub(crate) mod report;
pub(crate) mod reporter;
pub(crate) mod task;
pub(crate) mod type_names;
