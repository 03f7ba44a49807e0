//! What the gRPC adapter has to be told.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use hyper_util::client::proxy::matcher::Matcher;
use tonic::metadata::{Ascii, MetadataValue};

use crate::model::config::Compression;

/// Where and how to ship.
#[derive(Debug, Clone)]
pub(crate) struct GrpcSettings {
    /// A name or an address, without scheme and port.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
    /// A unix socket to be used instead of host and port.
    pub(crate) socket: Option<PathBuf>,
    /// What the environment says about proxies.
    pub(crate) proxy: ProxySettings,
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
    /// How requests are compressed.
    pub(crate) compression: Compression,
    /// What TLS needs beyond the system's root certificates.
    #[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
    pub(crate) tls: TlsSettings,
}

/// What TLS needs beyond the system's root certificates. All PEM.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    /// Certificates that are trusted as well as the system's.
    pub(crate) ca: Option<Pem>,
    /// The certificate and the private key that we show to the server.
    pub(crate) client: Option<ClientCertificate>,
    /// The name that the server's certificate has to carry, if not the host.
    pub(crate) server_name: Option<String>,
}

/// A certificate and its private key.
#[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
#[derive(Debug, Clone)]
pub(crate) struct ClientCertificate {
    /// The certificate, and those between it and a root.
    pub(crate) certificate: Pem,
    /// Its private key.
    pub(crate) key: Pem,
}

/// A file in PEM, or its text. Its debug form shows no content.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
pub(crate) enum Pem {
    File(PathBuf),
    #[cfg(test)]
    Text(Vec<u8>),
}

/// Changes when a file does.
pub(crate) type Stamp = (SystemTime, u64);

#[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
impl Pem {
    /// The content.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) => std::fs::read(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            #[cfg(test)]
            Self::Text(text) => Ok(text.clone()),
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::File(path) => {
                let metadata = std::fs::metadata(path).ok()?;
                Some((metadata.modified().ok()?, metadata.len()))
            }
            #[cfg(test)]
            Self::Text(_) => None,
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            #[cfg(test)]
            Self::Text(_) => f.write_str("[text]"),
        }
    }
}

#[cfg_attr(not(any(feature = "tls-ring", feature = "tls-aws-lc")), allow(dead_code, reason = "TLS is not there"))]
impl TlsSettings {
    /// Those of all its files.
    pub(super) fn stamps(&self) -> Vec<Option<Stamp>> {
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        self.ca.iter().chain(client).map(Pem::stamp).collect()
    }
}

/// Which proxy TLS connections go through. May hold a password: its debug form shows nothing.
#[derive(Clone, Default)]
pub(crate) struct ProxySettings {
    /// `HTTPS_PROXY`; empty for none.
    pub(crate) https: String,
    /// `NO_PROXY`: names, addresses and networks that are reached without it, separated by commas.
    pub(crate) no: String,
}

impl ProxySettings {
    pub(super) fn matcher(&self) -> Matcher {
        Matcher::builder().https(self.https.as_str()).no(self.no.as_str()).build()
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings").field("is_set", &!self.https.is_empty()).finish()
    }
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
    /// The compression was not compiled in.
    #[error("compression = {name} needs the feature `{name}` of flame-on")]
    #[cfg_attr(all(feature = "gzip", feature = "zstd"), expect(dead_code, reason = "both are there"))]
    NoCompression {
        /// Its name, which is the feature's.
        name: &'static str,
    },
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
            compression: Compression::None,
            socket: None,
            proxy: ProxySettings { https: "http://user:s3cret@proxy:1".into(), no: String::new() },
            tls: TlsSettings {
                client: Some(ClientCertificate {
                    certificate: Pem::Text(b"s3cret".to_vec()),
                    key: Pem::Text(b"s3cret".to_vec()),
                }),
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
