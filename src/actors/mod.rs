//! The actors: thin shells that carry out what pure code decides. ractor is named here and nowhere below.

pub(crate) mod restart;
