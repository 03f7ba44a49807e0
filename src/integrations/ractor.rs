//! Calls to ractor actors that show in the flame graph, and an actor as a shipper.
//!
//! [`call()`] and its kin are ractor's `call` with a name: while the caller waits for the reply, its `SLEEP` is
//! explained as `CALL <process> <shape of the message>`. The process is the name that the actor is registered
//! under, else the path of its message type. The labels show shapes only, never what strings, maps or bytes
//! contain.

mod actor_shipper;
mod call;

pub use ::ractor;

pub use self::actor_shipper::ActorShipper;
#[doc(hidden)]
pub use self::call::{Prepared as __Prepared, prepare as __prepare};

pub use self::call::{Call, CallError, call, call_labelled};
