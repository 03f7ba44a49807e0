//! What keeps the agent within its bounds: the dedupe table, permits, budgets, the decisions about memory and CPU, and
//! random numbers that cannot fail; and what else works without locks is built of. Pure code, the system's random bytes, and the few files of `/proc` and `/sys` that
//! [`memory`] and [`cpu`] name; no tokio, no actor, no clock: the time is given.

pub(crate) mod atomic;
pub(crate) mod budget;
pub(crate) mod cpu;
pub(crate) mod dedupe;
pub(crate) mod identifier;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod permits;
pub(crate) mod random;
pub(crate) mod system;
