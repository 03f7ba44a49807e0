//! What comes in: over gRPC, and from files.
//!
//! Everything here is untrusted. A profile is checked once, when it comes in; what is in the store can be drawn.

pub(crate) mod auth;
pub(crate) mod check;
pub(crate) mod codec;
pub(crate) mod error_event;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod gzip;
pub(crate) mod lines;
pub(crate) mod requests;
pub(crate) mod server;
pub(crate) mod trace;
