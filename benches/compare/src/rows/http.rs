//! A request that is not sampled, through the HTTP layer.

pub fn print() {}
