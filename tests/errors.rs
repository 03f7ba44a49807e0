//! Errors from the call that captures them to the event that is shipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "errors/api.rs"]
mod api;
#[path = "errors/context.rs"]
mod context;
#[path = "errors/http.rs"]
mod http;
#[path = "errors/jobs.rs"]
mod jobs;
#[path = "errors/linked.rs"]
mod linked;
#[path = "errors/secrets.rs"]
mod secrets;
#[path = "errors/shipping.rs"]
mod shipping;
