//! From plain data to bytes and text: pure and deterministic. No I/O, no clock, no tokio.

pub(crate) mod collapsed;
#[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "what is read and written depends on the features"))]
pub(crate) mod errors;
pub(crate) mod gzip;
mod micros;
pub(crate) mod pprof;
pub(crate) mod profile_filter;
pub(crate) mod proto;
mod protobuf;
#[cfg(test)]
mod test_profiles;
#[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "what is read and written depends on the features"))]
pub(crate) mod well_known;
