//! What the server is called.

use std::net::Ipv6Addr;

use http::Uri;

use super::settings::{GrpcSettings, GrpcSetupError};

pub(super) const USER_AGENT: &str = concat!("flame-on-rust/", env!("CARGO_PKG_VERSION"));

/// The server, as errors name it.
pub(super) fn target(settings: &GrpcSettings) -> String {
    let how = if settings.use_ssl { "over TLS" } else { "in plain text" };
    match &settings.socket {
        Some(path) => format!("unix:{} ({how})", path.display()),
        None => format!("{}:{} ({how})", host(settings), settings.port),
    }
}

/// The server, as requests name it.
pub(super) fn origin(settings: &GrpcSettings) -> Result<Uri, GrpcSetupError> {
    let scheme = if settings.use_ssl { "https" } else { "http" };
    let bad_host = || GrpcSetupError::BadHost { host: settings.host.clone() };
    let uri: Uri = format!("{scheme}://{}:{}", host(settings), settings.port).parse().map_err(|_invalid| bad_host())?;
    // Else a host with a path, a user or a port in it would pass for one without.
    let is_it = !settings.host.is_empty()
        && uri.host() == Some(&*host(settings))
        && uri.port_u16() == Some(settings.port)
        && uri.path() == "/";
    if is_it { Ok(uri) } else { Err(bad_host()) }
}

/// The host as it stands in a URL: an IPv6 address in brackets.
fn host(settings: &GrpcSettings) -> String {
    let host = &settings.host;
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() }
}
