//! Plain data and pure algorithms. No tokio, no I/O, no reading of a clock, and no other folder of this crate.

pub mod call_form;
pub(crate) mod call_term;
pub(crate) mod call_tree;
pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod error_dedupe;
pub(crate) mod error_event;
pub(crate) mod event;
pub(crate) mod fold;
pub(crate) mod frame;
pub(crate) mod frame_hash;
pub(crate) mod graphemes;
pub(crate) mod handler;
pub(crate) mod ids;
pub(crate) mod in_app;
#[cfg_attr(not(native_capture), allow(dead_code, reason = "what captures stacks uses it"))]
pub(crate) mod native;
pub(crate) mod native_stats;
pub(crate) mod profile;
pub(crate) mod queue_stats;
pub(crate) mod redact;
pub(crate) mod sanitizer;
#[cfg_attr(not(native_capture), allow(dead_code, reason = "what captures stacks uses it"))]
pub(crate) mod stack;
#[cfg_attr(not(native_capture), allow(dead_code, reason = "what captures stacks uses it"))]
pub(crate) mod stack_table;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod trace_event;
