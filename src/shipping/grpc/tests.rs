//! Against a real server on the loopback interface.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tonic::Code;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::server::{Answer, IngestServer, Received};
use super::settings::{ApiKey, ProxySettings, TlsSettings};
use super::*;
use crate::shipping::adapter::BoxedAdapter;
use crate::shipping::contained::{Contained, Outcome};
use crate::shipping::trace::tests::{batch, trace};

const KEY: &str = "s3cret-key";
/// Far more than anything here takes, and far less than the deadlines of the settings.
const QUICK: Duration = Duration::from_secs(20);

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn settings(server: SocketAddr) -> GrpcSettings {
    GrpcSettings {
        host: server.ip().to_string(),
        port: server.port(),
        socket: None,
        proxy: ProxySettings::default(),
        api_key: Some(ApiKey::new(KEY)),
        use_ssl: false,
        connect_timeout: Duration::from_secs(60),
        send_timeout: Duration::from_secs(60),
        max_message_bytes: 4 << 20,
        compression: Compression::None,
        tls: TlsSettings::default(),
    }
}

fn adapter(server: SocketAddr) -> GrpcAdapter {
    GrpcAdapter::new(settings(server)).unwrap()
}

async fn ship(adapter: &GrpcAdapter, traces: u128) -> Result<(), ShipError> {
    let context = ShipContext { time_left: Duration::from_secs(60), ..ShipContext::default() };
    timeout(QUICK, adapter.ship(&batch(traces), &context)).await.unwrap()
}

#[tokio::test]
async fn a_batch_arrives_whole_with_the_key_and_our_name() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let adapter = adapter(server.address());
    ship(&adapter, 3).await.unwrap();
    ship(&adapter, 1).await.unwrap();
    let received = timeout(QUICK, server.wait_for(2)).await.unwrap();
    assert_eq!((received[0].traces.len(), received[1].traces.len()), (3, 1));
    assert_eq!(received[0].metadata("authorization"), Some("Bearer s3cret-key"));
    let agent = received[0].metadata("user-agent").unwrap();
    assert!(agent.starts_with(concat!("flame-on-rust/", env!("CARGO_PKG_VERSION"))), "{agent}");
    let (sent, got) = (trace(2), &received[0].traces[2]);
    assert_eq!(got.trace_id, sent.id().to_string());
    assert_eq!((got.event_name.as_str(), got.identifier.as_str()), ("axum.request", "GET /a;b"));
    assert_eq!(got.profile.sample.iter().map(|sample| sample.value[0]).sum::<i64>(), 6_001);
    assert_eq!(server.stop().await.len(), 2);
}

#[tokio::test]
async fn without_a_key_there_is_no_authorization() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let keyless = GrpcSettings { api_key: None, ..settings(server.address()) };
    ship(&GrpcAdapter::new(keyless).unwrap(), 1).await.unwrap();
    assert_eq!(server.received()[0].metadata("authorization"), None);
}

#[tokio::test]
async fn a_refused_batch_is_not_worth_another_try() {
    let server = IngestServer::start(any_port()).await.unwrap();
    server.answer_next(Answer::Reject("quota used up".into()));
    let error = ship(&adapter(server.address()), 1).await.unwrap_err();
    assert!(error.is_rejected() && !error.is_retryable());
    assert_eq!(error.to_string(), "the server rejected the batch: quota used up");
}

#[tokio::test]
async fn a_batch_larger_than_a_message_arrives_in_several_and_a_refused_one_costs_no_other() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let adapter = GrpcAdapter::new(GrpcSettings { max_message_bytes: 1_000, ..settings(server.address()) }).unwrap();
    ship(&adapter, 9).await.unwrap();
    let received = server.received();
    assert!(received.len() > 2 && received.iter().map(|batch| batch.traces.len()).sum::<usize>() == 9);
    server.answer_next(Answer::Reject("quota".into()));
    let error = ship(&adapter, 9).await.unwrap_err();
    let refused = error.settled().iter().filter(|part| !part.is_accepted).count();
    assert_eq!((refused, error.settled().iter().map(|part| part.items).sum::<usize>()), (1, 9));
    server.answer_next(Answer::Fail(Code::Unavailable, "later".into()));
    let error = ship(&adapter, 9).await.unwrap_err();
    assert!(error.is_retryable() && error.settled().is_empty());
}

#[tokio::test]
async fn an_unavailable_server_is_asked_again_by_the_shipper_and_then_takes_the_batch() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let adapter = adapter(server.address());
    server.answer_next(Answer::Fail(Code::Unavailable, "restarting".into()));
    let error = ship(&adapter, 1).await.unwrap_err();
    assert!(error.is_retryable());
    // An answer is not a broken connection: it is not hidden by a second try of our own.
    assert!(server.received().is_empty());
    ship(&adapter, 1).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_told_from_a_bad_batch_and_never_shown() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let adapter = adapter(server.address());
    for code in [Code::Unauthenticated, Code::PermissionDenied] {
        server.answer_next(Answer::Fail(code, "unknown key".into()));
        let error = ship(&adapter, 1).await.unwrap_err();
        assert!(error.is_denied());
        assert!(!format!("{error} {error:?} {adapter:?}").contains("s3cret"), "{error:?} {adapter:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_the_calls_time_and_the_channel() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let adapter =
        GrpcAdapter::new(GrpcSettings { send_timeout: Duration::from_secs(2), ..settings(server.address()) }).unwrap();
    server.answer_next(Answer::Hang);
    let error = ship(&adapter, 1).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("no answer from 127.0.0.1"), "{error}");
    ship(&adapter, 1).await.unwrap();
}

/// A server in a runtime of its own, so that it can die as a process does: with all its sockets at once.
struct MortalServer {
    runtime: tokio::runtime::Runtime,
    server: IngestServer,
}

impl MortalServer {
    async fn start(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.spawn(IngestServer::start(address)).await.unwrap().unwrap();
        Self { runtime, server }
    }

    async fn kill(self) -> Vec<Received> {
        let received = self.server.received();
        tokio::task::spawn_blocking(|| self.runtime.shutdown_timeout(QUICK)).await.unwrap();
        received
    }
}

#[tokio::test]
async fn a_restarted_server_is_found_again_without_a_failed_batch() {
    let first = MortalServer::start(any_port()).await;
    let address = first.server.address();
    let adapter = adapter(address);
    ship(&adapter, 1).await.unwrap();
    assert_eq!(first.kill().await.len(), 1);
    let second = MortalServer::start(address).await;
    ship(&adapter, 2).await.unwrap();
    assert_eq!(second.kill().await[0].traces.len(), 2);
    let error = ship(&adapter, 1).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn it_works_from_the_blocking_pool_of_a_single_threaded_runtime() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let adapter = BoxedAdapter::new(adapter(server.address()));
    let contained = Contained::new(adapter);
    for _ in 0..2 {
        let outcome = contained.send(batch(1), ShipContext::default(), QUICK).await;
        assert!(matches!(outcome, Outcome::Accepted), "{outcome}");
    }
    assert!(matches!(contained.close(QUICK).await, Outcome::Accepted));
    assert_eq!(server.received().len(), 2);
}

/// Counts what the transport tells.
struct CountTransport(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for CountTransport {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if ["h2", "hyper", "tonic", "tower", "rustls"].iter().any(|ours| target.starts_with(ours)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, _: &tracing::Id, _: Context<'_, S>) {
        if attributes.metadata().target().starts_with("h2") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn the_hosts_subscriber_hears_nothing_of_our_transport() {
    let server = MortalServer::start(any_port()).await;
    let heard = Arc::new(AtomicUsize::new(0));
    // The connection's tasks run in this thread as well.
    let _host = tracing::subscriber::set_default(tracing_subscriber::registry().with(CountTransport(heard.clone())));
    let adapter = adapter(server.server.address());
    ship(&adapter, 1).await.unwrap();
    assert_eq!(server.kill().await.len(), 1);
    ship(&adapter, 1).await.unwrap_err();
    assert_eq!(heard.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_wrong_port_is_a_retryable_error_at_once() {
    let server = IngestServer::start(any_port()).await.unwrap();
    let address = server.address();
    server.stop().await;
    let error = ship(&adapter(address), 1).await.unwrap_err();
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("refused") && text.contains(&address.to_string()), "{text}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_a_clear_error() {
    let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        }
    });
    let error = ship(&adapter(address), 1).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("cannot ship to 127.0.0.1"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    for host in ["", "a b", "http://x", "x/y", "user@x", "x:1", "::1]"] {
        let settings = GrpcSettings { host: host.into(), ..settings(any_port()) };
        let error = GrpcAdapter::new(settings).unwrap_err();
        assert!(matches!(error, GrpcSetupError::BadHost { .. }), "{host}: {error}");
    }
    for host in ["flameon.ai", "localhost", "10.0.0.1", "::1", "[::1]", "my-host.internal"] {
        let settings = GrpcSettings { host: host.into(), ..settings(any_port()) };
        assert!(GrpcAdapter::new(settings).is_ok(), "{host}");
    }
}

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
#[test]
fn tls_that_is_not_compiled_in_is_refused_at_once() {
    let error = GrpcAdapter::new(GrpcSettings { use_ssl: true, ..settings(any_port()) }).unwrap_err();
    assert!(error.to_string().contains("tls-ring"), "{error}");
}

mod routes;
mod throughput;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod tls;
