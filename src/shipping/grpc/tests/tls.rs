//! With certificates that are made here.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::*;
use crate::shipping::grpc::settings::{ClientCertificate, Pem};

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("authority {:x}", crate::safety::random::number()));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Signed { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

impl Signed {
    fn server(&self, versions: &[&'static SupportedProtocolVersion], clients: Option<&Authority>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = builder.with_single_cert(vec![self.certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    fn as_client(&self) -> Option<ClientCertificate> {
        let certificate = Pem::Text(self.certificate.pem().into_bytes());
        Some(ClientCertificate { certificate, key: Pem::Text(self.key.serialize_pem().into_bytes()) })
    }
}

const BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { ca: Some(Pem::Text(authority.pem().into_bytes())), ..TlsSettings::default() }
}

fn over_tls(server: SocketAddr, tls: TlsSettings) -> GrpcAdapter {
    GrpcAdapter::new(GrpcSettings { use_ssl: true, tls, ..settings(server) }).unwrap()
}

async fn start(config: Arc<ServerConfig>) -> IngestServer {
    IngestServer::start_tls(any_port(), config).await.unwrap()
}

/// A server, and what its clients need.
pub(super) async fn any_server() -> (IngestServer, TlsSettings) {
    let authority = Authority::new();
    (start(authority.sign("127.0.0.1", |_| ()).server(&BOTH, None)).await, trusting(&authority))
}

/// A server, what a proxy before it needs, and two clients: one that trusts both, and one that trusts the server alone.
pub(super) async fn server_and_proxy() -> (IngestServer, [TlsSettings; 2], Arc<ServerConfig>) {
    let (servers, proxies) = (Authority::new(), Authority::new());
    let server = start(servers.sign("127.0.0.1", |_| ()).server(&BOTH, None)).await;
    let ca = Pem::Text(format!("{}{}", servers.pem(), proxies.pem()).into_bytes());
    let both = TlsSettings { ca: Some(ca), ..TlsSettings::default() };
    (server, [both, trusting(&servers)], proxies.sign("127.0.0.1", |_| ()).server(&BOTH, None))
}

/// The error of a batch that must not arrive.
async fn refusal(server: &IngestServer, tls: TlsSettings) -> String {
    let error = ship(&over_tls(server.address(), tls), 1).await.unwrap_err();
    assert!(error.is_retryable() && server.received().is_empty());
    let text = error.to_string();
    assert!(text.contains("over TLS"), "{text}");
    text
}

#[tokio::test]
async fn a_batch_arrives_over_either_version_of_tls_and_under_another_name() {
    let authority = Authority::new();
    for (name, versions) in [
        ("127.0.0.1", &BOTH[..]),
        ("127.0.0.1", &[&rustls::version::TLS12]),
        ("127.0.0.1", &[&rustls::version::TLS13]),
        ("ingest.internal", &BOTH),
    ] {
        let server = start(authority.sign(name, |_| ()).server(versions, None)).await;
        let named = TlsSettings { server_name: Some(name.into()), ..trusting(&authority) };
        ship(&over_tls(server.address(), named), 1).await.unwrap();
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn each_thing_that_can_be_wrong_with_a_certificate_is_told_apart() {
    let authority = Authority::new();
    let server = start(authority.sign("127.0.0.1", |_| ()).server(&BOTH, None)).await;
    let unknown = refusal(&server, trusting(&Authority::new())).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let nobody = refusal(&server, TlsSettings::default()).await;
    assert!(nobody.contains("UnknownIssuer"), "{nobody}");
    let other = refusal(&server, TlsSettings { server_name: Some("flameon.ai".into()), ..trusting(&authority) }).await;
    assert!(other.contains("not valid for name \"flameon.ai\""), "{other}");
    let expired = authority.sign("127.0.0.1", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let server = start(expired.server(&BOTH, None)).await;
    let expired = refusal(&server, trusting(&authority)).await;
    assert!(expired.contains("expired"), "{expired}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let signed = authority.sign("127.0.0.1", |_| ());
    let client = clients.sign("shop", |_| ());
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let server = start(signed.server(versions, Some(&clients))).await;
        let missing = refusal(&server, trusting(&authority)).await;
        assert!(missing.contains("CertificateRequired") || missing.contains("HandshakeFailure"), "{missing}");
        let stranger = Authority::new().sign("shop", |_| ());
        let wrong = refusal(&server, TlsSettings { client: stranger.as_client(), ..trusting(&authority) }).await;
        assert!(wrong.contains("UnknownCA") || wrong.contains("alert"), "{wrong}");
        let settings = TlsSettings { client: client.as_client(), ..trusting(&authority) };
        ship(&over_tls(server.address(), settings), 1).await.unwrap();
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn there_is_no_falling_back_to_plain_text_and_no_falling_into_it() {
    let authority = Authority::new();
    let plain = IngestServer::start(any_port()).await.unwrap();
    refusal(&plain, trusting(&authority)).await;
    let server = start(authority.sign("127.0.0.1", |_| ()).server(&BOTH, None)).await;
    let error = ship(&adapter(server.address()), 1).await.unwrap_err();
    assert!(error.to_string().contains("in plain text"), "{error}");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn files_are_read_again_when_they_change_and_a_half_written_one_does_no_harm() {
    let (first, second) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    write(&ca, &first.pem());
    let server = start(first.sign("127.0.0.1", |_| ()).server(&BOTH, None)).await;
    let address = server.address();
    let adapter = over_tls(address, TlsSettings { ca: Some(Pem::File(ca.clone())), ..TlsSettings::default() });
    ship(&adapter, 1).await.unwrap();
    write(&ca, "-----BEGIN CERT");
    ship(&adapter, 1).await.unwrap();
    // A live connection is given up as well, because its peer may not be trusted any more.
    write(&ca, &format!("{}\n\n", second.pem()));
    ship(&adapter, 1).await.unwrap_err();
    write(&ca, &first.pem());
    ship(&adapter, 1).await.unwrap();
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn the_process_keeps_its_choice_of_a_provider() {
    let authority = Authority::new();
    let server = start(authority.sign("127.0.0.1", |_| ()).server(&BOTH, None)).await;
    ship(&over_tls(server.address(), trusting(&authority)), 1).await.unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[test]
fn certificates_that_cannot_be_read_are_refused_at_once() {
    let bad = |tls| GrpcAdapter::new(GrpcSettings { use_ssl: true, tls, ..settings(any_port()) }).unwrap_err();
    let no_ca = bad(TlsSettings { ca: Some(Pem::Text(b"nothing".to_vec())), ..TlsSettings::default() });
    assert!(no_ca.to_string().contains("ca_file holds no PEM certificate"), "{no_ca}");
    let no_file = bad(TlsSettings { ca: Some(Pem::File("/nowhere/ca.pem".into())), ..TlsSettings::default() });
    assert!(no_file.to_string().contains("ca_file: /nowhere/ca.pem"), "{no_file}");
    let mut client = Authority::new().sign("shop", |_| ()).as_client().unwrap();
    client.key = Pem::Text(b"nothing".to_vec());
    let no_key = bad(TlsSettings { client: Some(client), ..TlsSettings::default() });
    assert!(no_key.to_string().contains("client_key_file"), "{no_key}");
}
