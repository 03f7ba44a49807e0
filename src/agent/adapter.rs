//! Where finished traces go.

use super::StartError;
use crate::config::Config;
use crate::shipping::adapter::BoxedAdapter;
use crate::shipping::trace::TraceBatch;

/// The host's own adapter, else a server when one is configured, else the local directory.
pub(super) fn choose(config: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    if let Some(own) = &config.hooks().shipper {
        return Ok(own.clone());
    }
    if config.is_local_default() { local(config) } else { grpc(config) }
}

#[cfg(feature = "local")]
#[expect(clippy::unnecessary_wraps, reason = "fails without the feature")]
fn local(config: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    use crate::shipping::local::{LocalAdapter, LocalSettings};

    let settings = LocalSettings { dir: config.local_dir().to_owned(), max_bytes: config.local_max_bytes() };
    Ok(BoxedAdapter::new(LocalAdapter::new(settings)))
}

#[cfg(not(feature = "local"))]
fn local(_: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    Err(StartError::Shipper(
        "neither api_key nor server_url is set, and this build has no local adapter: set one of them, give a \
         `shipper`, or enable the feature `local`"
            .into(),
    ))
}

#[cfg(feature = "grpc")]
fn grpc(_config: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    Err(StartError::Shipper("grpc comes".into()))
}

#[cfg(not(feature = "grpc"))]
fn grpc(_: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    Err(StartError::Shipper(
        "api_key or server_url is set, and this build cannot reach a server: give a `shipper`, or enable the \
         feature `grpc`"
            .into(),
    ))
}
