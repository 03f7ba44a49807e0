//! Profiles as flame graphs: pure, no I/O, no clock.

pub(crate) mod collapsed;
pub(crate) mod heaviest;
pub(crate) mod kind;
pub(crate) mod picture;
pub(crate) mod split;
pub(crate) mod stacks;
pub(crate) mod svg;
pub(crate) mod tree;

#[cfg(test)]
pub(crate) mod testing;
