//! The HTTP layer as a service sees it: which requests are traced, as what, and when their trace ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "http_layer/identity.rs"]
mod identity;
#[path = "http_layer/life.rs"]
mod life;
#[path = "http_layer/serve.rs"]
mod serve;
#[path = "http_layer/stacked.rs"]
mod stacked;
#[path = "http_layer/support.rs"]
mod support;
#[path = "http_layer/times.rs"]
mod times;
#[path = "http_layer/transparent.rs"]
mod transparent;
#[path = "http_layer/units.rs"]
mod units;
