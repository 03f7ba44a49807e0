//! From finished profiles to the outside: the adapters, and the queue in front of them.
//!
//! May use `encode` and `model`. No actors, no ractor and no capture: what runs here is told what to do
//! by a shipping actor and reports back by value.

pub(crate) mod adapter;
pub(crate) mod batch;
pub(crate) mod contained;
pub(crate) mod errors;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
pub(crate) mod ledger;
#[cfg(feature = "local")]
pub(crate) mod local;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
pub(crate) mod outbox;
pub(crate) mod retry;
pub(crate) mod ship_error;
pub(crate) mod spool;
pub(crate) mod trace;
