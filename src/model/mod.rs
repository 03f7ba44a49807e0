//! Plain data and pure algorithms. No tokio, no I/O, no reading of a clock, and no other folder of this crate.

pub(crate) mod call_tree;
pub(crate) mod counters;
pub(crate) mod fold;
pub(crate) mod frame;
pub(crate) mod frame_hash;
pub(crate) mod ids;
pub(crate) mod profile;
pub(crate) mod time;
pub(crate) mod trace_event;
