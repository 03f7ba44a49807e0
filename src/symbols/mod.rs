//! Addresses to names, and the folding of plumbing frames. May read files; never runs in a host thread. Knows the model
//! only: what it must do as part of the agent it is given as closures.

mod answer;
pub(crate) mod assemble;
mod cache;
pub(crate) mod chain;
pub(crate) mod diagnose;
mod dwarf;
mod elf;
mod entry;
#[cfg(all(test, target_os = "linux"))]
mod fixtures;
pub(crate) mod fold;
mod generations;
mod identity;
pub(crate) mod known;
mod libraries;
#[cfg(all(native_capture, feature = "testing"))]
pub(crate) mod memory;
mod module;
mod name;
mod opened;
mod pages;
mod reader;
mod sections;
#[cfg(all(test, target_os = "linux"))]
mod stacks;
pub(crate) mod symbol;
pub(crate) mod symbolizer;
mod symtab;
mod task;
#[cfg(all(test, target_os = "linux"))]
mod testing;
pub(crate) mod thread;
