//! What runs in host threads.

pub(crate) mod native;
