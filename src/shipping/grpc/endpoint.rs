//! How to reach the server.

use std::net::Ipv6Addr;
use std::time::Duration;

use tonic::transport::Endpoint;

use super::quiet::QuietExecutor;
use super::settings::{GrpcSettings, GrpcSetupError};

const USER_AGENT: &str = concat!("flame-on-rust/", env!("CARGO_PKG_VERSION"));

// A connection that died without a word is noticed after 5 + 3 s, which leaves a fifth of a call's default 10 s
// for a try on a new one. Pings go out only while a call is open, so one or two for each: servers end connections
// that ping an idle one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// The server, as errors name it.
pub(super) fn target(settings: &GrpcSettings) -> String {
    let how = if settings.use_ssl { "over TLS" } else { "in plain text" };
    format!("{}:{} ({how})", host(settings), settings.port)
}

/// Describes the connection, without TLS.
fn plain(settings: &GrpcSettings) -> Result<Endpoint, GrpcSetupError> {
    let scheme = if settings.use_ssl { "https" } else { "http" };
    let bad_host = || GrpcSetupError::BadHost { host: settings.host.clone() };
    let uri: http::Uri =
        format!("{scheme}://{}:{}", host(settings), settings.port).parse().map_err(|_invalid| bad_host())?;
    // Else a host with a path, a user or a port in it would pass for one without.
    if settings.host.is_empty()
        || uri.host() != Some(&*host(settings))
        || uri.port_u16() != Some(settings.port)
        || uri.path() != "/"
    {
        return Err(bad_host());
    }
    let endpoint = Endpoint::from(uri).user_agent(USER_AGENT).map_err(|_invalid| bad_host())?;
    Ok(endpoint
        .connect_timeout(settings.connect_timeout)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(false)
        .executor(QuietExecutor))
}

/// The host as it stands in a URL: an IPv6 address in brackets.
fn host(settings: &GrpcSettings) -> String {
    let host = &settings.host;
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() }
}

/// Checks the settings, without reading the system's certificates.
pub(super) fn check(settings: &GrpcSettings) -> Result<(), GrpcSetupError> {
    let endpoint = plain(settings)?;
    if settings.use_ssl { tls::check(endpoint, settings) } else { Ok(()) }
}

/// Describes the connection. With TLS this reads the system's root certificates: some milliseconds of work.
pub(super) fn endpoint(settings: &GrpcSettings) -> Result<Endpoint, GrpcSetupError> {
    let endpoint = plain(settings)?;
    if settings.use_ssl { tls::add(endpoint, settings) } else { Ok(endpoint) }
}

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
mod tls {
    use super::{Endpoint, GrpcSettings, GrpcSetupError};

    pub(super) fn check(_endpoint: Endpoint, _settings: &GrpcSettings) -> Result<(), GrpcSetupError> {
        Err(GrpcSetupError::NoTls)
    }

    pub(super) fn add(_endpoint: Endpoint, _settings: &GrpcSettings) -> Result<Endpoint, GrpcSetupError> {
        Err(GrpcSetupError::NoTls)
    }
}

/// rustls takes the host's process-wide provider if there is one, else ours (ring before aws-lc): tonic passes it
/// explicitly and installs none.
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod tls {
    use tonic::transport::{Certificate, ClientTlsConfig, Identity};

    use super::{Endpoint, GrpcSettings, GrpcSetupError};
    use crate::shipping::ship_error::text_of;

    pub(super) fn check(endpoint: Endpoint, settings: &GrpcSettings) -> Result<(), GrpcSetupError> {
        const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
        if let Some(ca) = &settings.tls.ca
            && !ca.windows(BEGIN.len()).any(|window| window == BEGIN)
        {
            return Err(GrpcSetupError::BadTls { reason: "ca_file holds no PEM certificate".into() });
        }
        apply(endpoint, own(settings)).map(drop)
    }

    pub(super) fn add(endpoint: Endpoint, settings: &GrpcSettings) -> Result<Endpoint, GrpcSetupError> {
        let with_system = apply(endpoint.clone(), own(settings).with_native_roots());
        // A minimal container has no root certificates, and with an own one it needs none.
        if with_system.is_err() && settings.tls.ca.is_some() {
            return apply(endpoint, own(settings));
        }
        with_system
    }

    fn apply(endpoint: Endpoint, tls: ClientTlsConfig) -> Result<Endpoint, GrpcSetupError> {
        endpoint.tls_config(tls).map_err(|error| GrpcSetupError::BadTls { reason: text_of(&error) })
    }

    /// All but the system's root certificates.
    fn own(settings: &GrpcSettings) -> ClientTlsConfig {
        let mut tls = ClientTlsConfig::new().timeout(settings.connect_timeout);
        if let Some(ca) = &settings.tls.ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some(client) = &settings.tls.client {
            tls = tls.identity(Identity::from_pem(&client.certificate, &client.key));
        }
        if let Some(name) = &settings.tls.server_name {
            tls = tls.domain_name(name);
        }
        tls
    }
}
