//! Where finished traces and error events go.

use super::StartError;
use crate::config::Config;
use crate::shipping::adapter::{BoxedAdapter, ShipContext, ShipperAdapter};
use crate::shipping::errors::ErrorBatch;
use crate::shipping::ship_error::ShipError;
use crate::shipping::trace::TraceBatch;

/// Both destinations.
pub(super) struct Adapters {
    pub(super) traces: BoxedAdapter<TraceBatch>,
    pub(super) errors: BoxedAdapter<ErrorBatch>,
}

impl Adapters {
    /// For each queue the host's own adapter, else a server when one is configured, else the local directory. What is
    /// not the host's is one for both: one connection, one budget.
    pub(super) fn choose(config: &Config) -> Result<Self, StartError> {
        let hooks = config.hooks();
        if let (Some(traces), Some(errors)) = (&hooks.shipper, &hooks.error_shipper) {
            return Ok(Self { traces: traces.clone(), errors: errors.clone() });
        }
        let built_in = if config.is_local_default() { local(config) } else { grpc(config) };
        match (built_in, &hooks.shipper, &hooks.error_shipper) {
            (Ok(built_in), traces, errors) => Ok(Self {
                traces: traces.clone().unwrap_or(built_in.traces),
                errors: errors.clone().unwrap_or(built_in.errors),
            }),
            // Nothing would go there.
            (Err(_), Some(traces), None) if !config.capture_errors() => {
                Ok(Self { traces: traces.clone(), errors: BoxedAdapter::new(Nowhere) })
            }
            (Err(_), None, Some(errors)) if !config.capture() => {
                Ok(Self { traces: BoxedAdapter::new(Nowhere), errors: errors.clone() })
            }
            (Err(error), ..) => Err(error),
        }
    }
}

/// For a queue that nothing is put into.
struct Nowhere;

impl<B: Send + Sync + 'static> ShipperAdapter<B> for Nowhere {
    async fn ship(&self, _: &B, _: &ShipContext) -> Result<(), ShipError> {
        Err(ShipError::permanent("there is no adapter"))
    }
}

#[cfg(feature = "local")]
#[expect(clippy::unnecessary_wraps, reason = "fails without the feature")]
fn local(config: &Config) -> Result<Adapters, StartError> {
    use crate::shipping::local::{LocalAdapter, LocalSettings};

    let settings = LocalSettings { dir: config.local_dir().to_owned(), max_bytes: config.local_max_bytes() };
    let adapter = LocalAdapter::new(settings);
    Ok(Adapters { traces: BoxedAdapter::new(adapter.clone()), errors: BoxedAdapter::new(adapter) })
}

#[cfg(not(feature = "local"))]
fn local(_: &Config) -> Result<Adapters, StartError> {
    Err(StartError::Shipper(
        "neither api_key nor server_url is set, and this build has no local adapter: set one of them, give a \
         `shipper`, or enable the feature `local`"
            .into(),
    ))
}

#[cfg(feature = "grpc")]
fn grpc(config: &Config) -> Result<Adapters, StartError> {
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
    Ok(Adapters { traces: BoxedAdapter::new(adapter.clone()), errors: BoxedAdapter::new(adapter) })
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
fn grpc(_: &Config) -> Result<Adapters, StartError> {
    Err(StartError::Shipper(
        "api_key or server_url is set, and this build cannot reach a server: give a `shipper`, or enable the \
         feature `grpc`"
            .into(),
    ))
}
