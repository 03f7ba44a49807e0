//! Plain data and pure algorithms. No tokio, no I/O, no reading of a clock, and no other folder of this crate.

pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod frame;
pub(crate) mod ids;
pub(crate) mod profile;
pub(crate) mod time;
pub(crate) mod trace_event;
