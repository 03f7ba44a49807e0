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
fn grpc(config: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    use crate::shipping::grpc::GrpcAdapter;
    use crate::shipping::grpc::settings::{ApiKey, GrpcSettings, ProxySettings};

    let server = config.server_url();
    let settings = GrpcSettings {
        host: server.host().to_owned(),
        port: server.port(),
        api_key: config.api_key().map(|key| ApiKey::new(key.expose())),
        use_ssl: config.use_ssl(),
        connect_timeout: config.connect_timeout(),
        send_timeout: config.send_timeout(),
        max_message_bytes: config.max_message_bytes(),
        compression: config.compression(),
        socket: server.unix_socket().map(ToOwned::to_owned),
        proxy: ProxySettings { https: config.https_proxy().to_owned(), no: config.no_proxy().to_owned() },
        tls: tls(config),
    };
    let adapter = GrpcAdapter::new(settings).map_err(|error| StartError::Shipper(error.to_string()))?;
    Ok(BoxedAdapter::new(adapter))
}

#[cfg(feature = "grpc")]
fn tls(config: &Config) -> crate::shipping::grpc::settings::TlsSettings {
    use crate::shipping::grpc::settings::{ClientCertificate, Pem, TlsSettings};

    let pem = |path: Option<&std::path::Path>| path.map(|path| Pem::File(path.to_owned()));
    let client = pem(config.client_cert_file()).zip(pem(config.client_key_file()));
    TlsSettings {
        ca: pem(config.ca_file()),
        // The configuration has made sure that both are given or none.
        client: client.map(|(certificate, key)| ClientCertificate { certificate, key }),
        server_name: config.tls_server_name().map(str::to_owned),
    }
}

#[cfg(not(feature = "grpc"))]
fn grpc(_: &Config) -> Result<BoxedAdapter<TraceBatch>, StartError> {
    Err(StartError::Shipper(
        "api_key or server_url is set, and this build cannot reach a server: give a `shipper`, or enable the \
         feature `grpc`"
            .into(),
    ))
}
