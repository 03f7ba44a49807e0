//! Addresses to names, and the folding of plumbing frames. May read files; never runs in a host thread. Knows the model
//! only: what it must do as part of the agent it is given as closures.

mod answer;
pub(crate) mod assemble;
mod cache;
mod dwarf;
mod elf;
pub(crate) mod fold;
mod identity;
mod module;
mod name;
mod pages;
mod reader;
pub(crate) mod symbol;
pub(crate) mod symbolizer;
mod symtab;
#[cfg(all(test, target_os = "linux"))]
mod testing;
pub(crate) mod thread;
