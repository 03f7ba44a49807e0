//! The recorder, the reader and the fold together, without actors and by a clock that the test moves.

mod concurrent;
mod examples;
mod limits;
mod random;
pub(crate) mod rig;
