//! What the gRPC adapter has to be told.

use std::fmt;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};

/// Where and how to ship.
#[derive(Debug, Clone)]
pub(crate) struct GrpcSettings {
    /// A name or an address, without scheme and port.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// Sent with each call; without one there is no authorization header.
    pub(crate) api_key: Option<ApiKey>,
    /// Whether to speak TLS. There is no falling back from it.
    pub(crate) use_ssl: bool,
    /// How long connecting may take, for TCP and for TLS each.
    pub(crate) connect_timeout: Duration,
    /// How long a call may take, connecting included.
    pub(crate) send_timeout: Duration,
    /// How large a request may be, before it is compressed.
    pub(crate) max_message_bytes: usize,
    /// What TLS needs beyond the system's root certificates.
    #[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
    pub(crate) tls: TlsSettings,
}

/// What TLS needs beyond the system's root certificates. All PEM.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    /// Certificates that are trusted as well as the system's.
    pub(crate) ca: Option<Vec<u8>>,
    /// The certificate and the private key that we show to the server.
    pub(crate) client: Option<ClientCertificate>,
    /// The name that the server's certificate has to carry, if not the host.
    pub(crate) server_name: Option<String>,
}

/// A certificate and its private key.
#[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
#[derive(Clone)]
pub(crate) struct ClientCertificate {
    /// The certificate, and those between it and a root.
    pub(crate) certificate: Vec<u8>,
    /// Its private key.
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca", &self.ca.is_some())
            .field("client", &self.client.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}

/// The API key. Its debug form does not show it.
#[derive(Clone)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    pub(crate) fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The value of the authorization header, marked as sensitive so that no layer below prints or indexes it.
    pub(super) fn to_header(&self) -> Result<MetadataValue<Ascii>, GrpcSetupError> {
        let mut value: MetadataValue<Ascii> =
            format!("Bearer {}", self.0).parse().map_err(|_| GrpcSetupError::BadKey)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why the gRPC adapter cannot work with its settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum GrpcSetupError {
    /// TLS is asked for, and none was compiled in.
    #[error(
        "use_ssl needs the feature `tls-ring` or `tls-aws-lc` of flame-on; set use_ssl = false to ship in plain text"
    )]
    #[cfg_attr(any(feature = "tls-ring", feature = "tls-aws-lc"), expect(dead_code, reason = "TLS is there"))]
    NoTls,
    /// The host is no host.
    #[error("server_url: {host:?} is not a host name or an address")]
    BadHost {
        /// What was given.
        host: String,
    },
    /// The key has characters that no header can carry. Does not say which key.
    #[error("api_key holds characters that an HTTP header cannot carry")]
    BadKey,
    /// Certificates or a key, the system's or configured ones, that cannot be read.
    #[error("TLS cannot be set up: {reason} (see ca_file, client_cert_file and client_key_file)")]
    #[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
    BadTls {
        /// What is wrong.
        reason: String,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn no_debug_form_shows_a_secret() {
        let settings = GrpcSettings {
            host: "flameon.ai".into(),
            port: 50_051,
            api_key: Some(ApiKey::new("s3cret")),
            use_ssl: true,
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(10),
            max_message_bytes: 4 << 20,
            tls: TlsSettings {
                client: Some(ClientCertificate { certificate: b"s3cret".to_vec(), key: b"s3cret".to_vec() }),
                ..TlsSettings::default()
            },
        };
        let header = settings.api_key.as_ref().map(ApiKey::to_header);
        let shown = format!("{settings:?} {header:?} {:#?}", settings.tls);
        assert!(shown.contains("flameon.ai"));
        assert!(!shown.contains("s3cret") && !shown.contains("115, 51"), "{shown}");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_being_shown() {
        let error = ApiKey::new("s3c\nret").to_header().unwrap_err();
        assert!(matches!(error, GrpcSetupError::BadKey));
        assert!(!format!("{error} {error:?}").contains("s3c"));
    }
}
