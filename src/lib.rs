//! FlameOn.
#![allow(dead_code)]

mod model;
mod shipping;

pub use shipping::adapter::{BoxedAdapter, ShipContext, ShipperAdapter};
#[cfg(feature = "__server")]
#[doc(hidden)]
pub use shipping::grpc::server;
pub use shipping::ship_error::ShipError;
pub use shipping::trace::{Trace, TraceBatch};
