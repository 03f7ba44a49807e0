//! What the safe language cannot reach: the only folder with unsafe code, behind safe functions.

pub(crate) mod fork;
