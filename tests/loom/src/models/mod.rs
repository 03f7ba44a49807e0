pub(crate) mod chunks;
pub(crate) mod inbox;
pub(crate) mod open;
pub(crate) mod signal;
pub(crate) mod ticket;
pub(crate) mod waker;
pub(crate) mod wakes;
