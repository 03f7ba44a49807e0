//! A function by name.

use std::sync::Arc;

/// What a function is to the one who reads the flame graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Of the user's own workspace.
    Own,
    /// Of a library; worth its name where own code calls it.
    Library,
    /// Of a library, and says nothing: what runtimes, adapters and the compiler put between two calls.
    Plumbing,
    /// Without a name.
    Unknown,
}

/// What else is known about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Nothing.
    Plain,
    /// A closure, or the body of an async function or block: such a body waits at one place at a time.
    Body,
    /// An actor's handler of messages, as a body: what it wakes, the actor answered.
    ActorHandler,
}

/// A function at an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Symbol {
    /// As a person writes it: `shop::orders::load`. `libfoo.so+0x1f00` where there is no name.
    pub(crate) name: Arc<str>,
    /// Its source as the debug information has it, in full; where there is no name, the module and its build id.
    pub(crate) file: Option<Arc<str>>,
    /// The line that runs; 0 where that is not known.
    pub(crate) line: u32,
    pub(crate) class: Class,
    pub(crate) role: Role,
    /// Of tokio's functions that end a task: whose task that is.
    pub(crate) task: Option<Arc<str>>,
}
