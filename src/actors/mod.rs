//! The supervision tree: thin shells that carry out what pure code decides.
//!
//! ```text
//! Supervisor
//! ├── MemoryWatcher
//! ├── SeqTraceRouter
//! ├── Shipper
//! ├── TraceSessionSupervisor
//! │   └── TraceSession …
//! ├── Collector
//! └── ErrorShipper      only with `capture_errors`; a `Shipper` of another queue
//! ```
//! Started in this order, stopped in reverse. Here nothing encodes, waits for I/O or runs the user's code;
//! mailboxes carry signals, data waits in bounded queues. Only this folder (and `integrations::ractor`)
//! knows ractor.

pub(crate) mod collector;
pub(crate) mod finalizer;
pub(crate) mod in_flight;
pub(crate) mod log;
pub(crate) mod memory_watcher;
pub(crate) mod parts;
pub(crate) mod restart;
#[cfg(test)]
pub(crate) mod rig;
pub(crate) mod seq_trace_router;
pub(crate) mod ship_queue;
pub(crate) mod shipper;
pub(crate) mod slot;
pub(crate) mod supervisor;
#[cfg(feature = "testing")]
pub(crate) mod testing;
pub(crate) mod trace_session;
pub(crate) mod trace_session_supervisor;
pub(crate) mod tree;

/// Makes a type a message of a local actor under every combination of ractor's features: without `cluster`
/// a blanket implementation exists, with it there is none.
macro_rules! local_message {
    ($message:ty) => {
        #[cfg(feature = "ractor-cluster")]
        impl ractor::Message for $message {}
    };
}
pub(crate) use local_message;
