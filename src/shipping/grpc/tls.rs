//! TLS by rustls, with a provider of our own: the process's choice is neither used nor made.

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
pub(super) use self::with_rustls::{Name, Tls, name, shown};
#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
pub(super) use self::without::{Name, Tls, name, shown};

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
mod without {
    use std::convert::Infallible;
    use std::io;

    use crate::shipping::grpc::dial::BoxStream;
    use crate::shipping::grpc::settings::{GrpcSettings, GrpcSetupError};

    /// There is none.
    #[derive(Debug)]
    pub(in crate::shipping::grpc) struct Tls(Infallible);
    pub(in crate::shipping::grpc) type Name = Infallible;

    impl Tls {
        pub(in crate::shipping::grpc) fn new(_: &GrpcSettings) -> Result<Self, GrpcSetupError> {
            Err(GrpcSetupError::NoTls)
        }
        pub(in crate::shipping::grpc) fn has_changed(&self) -> bool {
            match self.0 {}
        }
        pub(in crate::shipping::grpc) fn forget(&self) {
            match self.0 {}
        }
        pub(in crate::shipping::grpc) fn server_name(&self) -> Result<Name, GrpcSetupError> {
            match self.0 {}
        }
        pub(in crate::shipping::grpc) fn connector(&self, _: bool) -> Result<&Self, GrpcSetupError> {
            match self.0 {}
        }
        pub(in crate::shipping::grpc) async fn connect(&self, _: Name, _: BoxStream) -> io::Result<BoxStream> {
            match self.0 {}
        }
    }

    pub(in crate::shipping::grpc) fn name(_: &str) -> Result<Name, GrpcSetupError> {
        Err(GrpcSetupError::NoTls)
    }

    pub(in crate::shipping::grpc) fn shown(name: &Name) -> String {
        match *name {}
    }
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod with_rustls {
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use rustls_native_certs::CertificateResult;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::CryptoProvider;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use crate::shipping::grpc::settings::{GrpcSettings, GrpcSetupError, Pem, Stamp, TlsSettings};
    use crate::shipping::ship_error::text_of;

    pub(in crate::shipping::grpc) type Name = ServerName<'static>;

    /// Makes TLS streams; keeps what it has read until the files change.
    #[derive(Debug)]
    pub(in crate::shipping::grpc) struct Tls {
        settings: TlsSettings,
        server_name: String,
        loaded: Mutex<Option<Loaded>>,
    }

    #[derive(Clone)]
    struct Loaded {
        config: Arc<ClientConfig>,
        stamps: Vec<Option<Stamp>>,
    }

    impl std::fmt::Debug for Loaded {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Loaded").finish_non_exhaustive()
        }
    }

    impl Tls {
        /// Reads the configured files, so that a mistake shows at the start; the system's certificates come later.
        pub(in crate::shipping::grpc) fn new(settings: &GrpcSettings) -> Result<Self, GrpcSetupError> {
            let server_name = settings.tls.server_name.clone().unwrap_or_else(|| settings.host.clone());
            name(&server_name)?;
            client_config(&settings.tls, RootCertStore::empty())?;
            Ok(Self { settings: settings.tls.clone(), server_name, loaded: Mutex::default() })
        }

        pub(in crate::shipping::grpc) fn has_changed(&self) -> bool {
            self.loaded().as_ref().is_some_and(|loaded| loaded.stamps != self.settings.stamps())
        }

        pub(in crate::shipping::grpc) fn forget(&self) {
            *self.loaded() = None;
        }

        pub(in crate::shipping::grpc) fn server_name(&self) -> Result<Name, GrpcSetupError> {
            name(&self.server_name)
        }

        /// A connector that offers HTTP/2, or nothing, as a proxy wants it.
        pub(in crate::shipping::grpc) fn connector(&self, is_for_http2: bool) -> Result<TlsConnector, GrpcSetupError> {
            let config = self.config()?;
            if is_for_http2 {
                return Ok(config.into());
            }
            let mut config = (*config).clone();
            config.alpn_protocols.clear();
            Ok(Arc::new(config).into())
        }

        /// Files that are changed right now may be half written: the last good ones are kept then.
        fn config(&self) -> Result<Arc<ClientConfig>, GrpcSetupError> {
            let mut loaded = self.loaded();
            let stamps = self.settings.stamps();
            if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.stamps == stamps) {
                return Ok(loaded.config.clone());
            }
            let roots = roots(&self.settings, rustls_native_certs::load_native_certs());
            match (client_config(&self.settings, roots), &*loaded) {
                (Ok(config), _) => Ok(loaded.insert(Loaded { config: Arc::new(config), stamps }).config.clone()),
                (Err(_), Some(last)) => Ok(last.config.clone()),
                (Err(error), None) => Err(error),
            }
        }

        fn loaded(&self) -> MutexGuard<'_, Option<Loaded>> {
            self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(in crate::shipping::grpc) fn name(host: &str) -> Result<Name, GrpcSetupError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(host.to_owned()).map_err(|_invalid| GrpcSetupError::BadHost { host: host.to_owned() })
    }

    pub(in crate::shipping::grpc) fn shown(name: &Name) -> String {
        name.to_str().into_owned()
    }

    fn client_config(settings: &TlsSettings, mut roots: RootCertStore) -> Result<ClientConfig, GrpcSetupError> {
        if let Some(ca) = &settings.ca {
            for certificate in certificates("ca_file", ca)? {
                roots.add(certificate).map_err(|error| bad("ca_file", &error))?;
            }
        }
        let versions = ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let builder = versions.map_err(|error| bad("the provider", &error))?.with_root_certificates(roots);
        let mut config = match &settings.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let chain = certificates("client_cert_file", &client.certificate)?;
                let key = client.key.read().map_err(|error| bad("client_key_file", &error))?;
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| bad("client_key_file", &error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| bad("client_cert_file", &error))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn certificates(key: &str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, GrpcSetupError> {
        let bytes = pem.read().map_err(|error| bad(key, &error))?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let read = read.map_err(|error| bad(key, &error))?;
        if read.is_empty() {
            return Err(GrpcSetupError::BadTls { reason: format!("{key} holds no PEM certificate") });
        }
        Ok(read)
    }

    fn bad(key: &str, error: &(dyn std::error::Error + 'static)) -> GrpcSetupError {
        GrpcSetupError::BadTls { reason: format!("{key}: {}", text_of(error)) }
    }

    /// The operating system's roots. Where there are none, as in a minimal container, those that came with us, unless
    /// there is an own authority, which then is the only one.
    fn roots(settings: &TlsSettings, found: CertificateResult) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() && settings.ca.is_none() {
            tracing::error!(
                target: "flame_on",
                "the operating system has no root certificates ({} errors): those that came with FlameOn are used; \
                 install the system's (ca-certificates), or set ca_file",
                found.errors.len()
            );
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots
    }

    /// aws-lc where it was asked for, because ring is there by default.
    #[cfg(feature = "tls-aws-lc")]
    fn provider() -> CryptoProvider {
        tokio_rustls::rustls::crypto::aws_lc_rs::default_provider()
    }

    #[cfg(not(feature = "tls-aws-lc"))]
    fn provider() -> CryptoProvider {
        tokio_rustls::rustls::crypto::ring::default_provider()
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "tests")]
    mod tests {
        use std::sync::atomic::{AtomicUsize, Ordering};

        use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

        use super::*;

        /// Counts the errors that the agent logs.
        #[derive(Clone, Default)]
        struct Errors(Arc<AtomicUsize>);

        impl<S: tracing::Subscriber> Layer<S> for Errors {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                let metadata = event.metadata();
                if (metadata.target(), *metadata.level()) == ("flame_on", tracing::Level::ERROR) {
                    self.0.fetch_add(1, Ordering::Relaxed);
                }
            }
        }

        /// The roots where the system has these, and how many errors were logged.
        fn with(settings: &TlsSettings, found: CertificateResult) -> (RootCertStore, usize) {
            let errors = Errors::default();
            let subscriber = tracing_subscriber::registry().with(errors.clone());
            let roots = tracing::subscriber::with_default(subscriber, || roots(settings, found));
            (roots, errors.0.load(Ordering::Relaxed))
        }

        fn a_root() -> CertificateDer<'static> {
            rcgen::generate_simple_self_signed(["root".to_owned()]).unwrap().cert.der().clone()
        }

        #[test]
        fn where_the_system_has_no_roots_ours_are_used_and_it_is_said_aloud() {
            let (roots, errors) = with(&TlsSettings::default(), CertificateResult::default());
            assert_eq!((roots.len(), errors), (webpki_roots::TLS_SERVER_ROOTS.len(), 1));
            assert!(roots.len() > 50);
        }

        #[test]
        fn where_it_has_some_they_are_the_only_ones() {
            let mut found = CertificateResult::default();
            found.certs.push(a_root());
            let (roots, errors) = with(&TlsSettings::default(), found);
            assert_eq!((roots.len(), errors), (1, 0));
        }

        #[test]
        fn an_own_authority_needs_no_others() {
            let settings = TlsSettings { ca: Some(Pem::File("own.pem".into())), ..TlsSettings::default() };
            let (roots, errors) = with(&settings, CertificateResult::default());
            assert_eq!((roots.len(), errors), (0, 0));
        }
    }
}
