//! Sockets of this machine, IPv6, proxies and compression.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

#[cfg(unix)]
#[tokio::test]
async fn a_batch_arrives_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ingest.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (to_server, streams) = mpsc::channel(4);
    let server = IngestServer::on_streams(streams);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            to_server.send(Ok(stream)).await.unwrap();
        }
    });
    let local = GrpcSettings { host: "localhost".into(), socket: Some(path.clone()), ..settings(any_port()) };
    ship(&GrpcAdapter::new(local.clone()).unwrap(), 2).await.unwrap();
    assert_eq!(server.received()[0].traces.len(), 2);
    std::fs::remove_file(&path).unwrap();
    let error = ship(&GrpcAdapter::new(local).unwrap(), 1).await.unwrap_err().to_string();
    assert!(error.contains("no connection to the socket") && error.contains("ingest.sock"), "{error}");
}

#[tokio::test]
async fn a_batch_arrives_over_ipv6() {
    let server = IngestServer::start("[::1]:0".parse().unwrap()).await.unwrap();
    ship(&adapter(server.address()), 1).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

/// A proxy that answers each CONNECT by `answer`, and relays after a 200; gives what it was asked for.
async fn proxy(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    proxy_behind(answer, |client| async { Some(client) }).await
}

/// What is said up to the first empty line; `None` when there is none.
async fn head(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// As [`proxy`], where `open` makes the stream in which we and the proxy talk.
async fn proxy_behind<S, F>(
    answer: &'static str,
    open: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let (asked, questions) = mpsc::unbounded_channel();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Some(mut client) = open(client).await else { continue };
            let Some(head) = head(&mut client).await else { continue };
            let target = head.split_whitespace().nth(1).unwrap().to_owned();
            asked.send(head).unwrap();
            client.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
            if answer.starts_with("200") {
                let mut server = TcpStream::connect(target).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await.ok() });
            }
        }
    });
    (address, questions)
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn tls_goes_through_the_proxy_with_its_password_and_past_it_where_no_proxy_says_so() {
    let (server, tls) = super::tls::any_server().await;
    let (address, mut questions) = proxy("200 OK").await;
    let https = format!("http://user:s3cret@{address}");
    let through = |no: &str| {
        let proxy = ProxySettings { https: https.clone(), no: no.into() };
        GrpcAdapter::new(GrpcSettings { use_ssl: true, tls: tls.clone(), proxy, ..settings(server.address()) }).unwrap()
    };
    ship(&through("example.com"), 1).await.unwrap();
    let question = questions.recv().await.unwrap();
    assert!(question.starts_with(&format!("CONNECT {} HTTP/1.1", server.address())), "{question}");
    assert!(question.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="), "{question}");
    ship(&through("127.0.0.0/8"), 1).await.unwrap();
    assert!(questions.try_recv().is_err() && server.received().len() == 2);
    assert!(!format!("{:?}", through("")).contains("s3cret"));
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let (server, tls) = super::tls::any_server().await;
    let (address, _questions) = proxy("403 Forbidden").await;
    let proxy = ProxySettings { https: format!("http://user:s3cret@{address}"), no: String::new() };
    let settings = GrpcSettings { use_ssl: true, tls, proxy, ..settings(server.address()) };
    let error = ship(&GrpcAdapter::new(settings).unwrap(), 1).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("the proxy {address} does not connect us")) && !error.contains("s3cret"),
        "{error}"
    );
    assert!(server.received().is_empty());
}

/// A proxy to which one speaks TLS, and the server behind it; who trusts both, and who only the server.
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
async fn secure_proxy() -> (IngestServer, SocketAddr, mpsc::UnboundedReceiver<String>, [TlsSettings; 2]) {
    let (server, [both, one], config) = super::tls::server_and_proxy().await;
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    let (address, questions) = proxy_behind("200 OK", move |client| {
        let accepting = acceptor.accept(client);
        async move {
            // `Err`: the peer does not trust us.
            let stream = accepting.await.ok()?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), None, "a proxy speaks HTTP/1.1");
            Some(stream)
        }
    })
    .await;
    (server, address, questions, [both, one])
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
fn through_secure(server: &IngestServer, proxy: SocketAddr, tls: TlsSettings) -> GrpcAdapter {
    let proxy = ProxySettings { https: format!("https://user:s3cret@{proxy}"), no: String::new() };
    GrpcAdapter::new(GrpcSettings { use_ssl: true, tls, proxy, ..settings(server.address()) }).unwrap()
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn tls_to_the_proxy_carries_the_question_and_tls_to_the_server_goes_through_it() {
    let (server, address, mut questions, [trusting_both, _]) = secure_proxy().await;
    ship(&through_secure(&server, address, trusting_both), 2).await.unwrap();
    let question = questions.recv().await.unwrap();
    assert!(question.starts_with(&format!("CONNECT {} HTTP/1.1", server.address())), "{question}");
    assert!(question.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="), "{question}");
    assert_eq!(server.received()[0].traces.len(), 2);
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_told_from_the_server_and_learns_nothing() {
    let (server, address, mut questions, [_, trusting_the_server]) = secure_proxy().await;
    let error = ship(&through_secure(&server, address, trusting_the_server), 1).await.unwrap_err().to_string();
    assert!(error.contains("no TLS with the proxy (127.0.0.1)") && error.contains("UnknownIssuer"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    assert!(questions.try_recv().is_err() && server.received().is_empty());
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn a_proxy_that_speaks_plain_text_where_tls_was_asked_for_is_not_talked_to() {
    let (server, tls) = super::tls::any_server().await;
    let (address, mut questions) = proxy("200 OK").await;
    // What it reads is the begin of a handshake, in which it finds no end of a head.
    let impatient = GrpcSettings { connect_timeout: Duration::from_millis(300), ..settings(server.address()) };
    let proxy = ProxySettings { https: format!("https://user:s3cret@{address}"), no: String::new() };
    let adapter = GrpcAdapter::new(GrpcSettings { use_ssl: true, tls, proxy, ..impatient }).unwrap();
    let error = ship(&adapter, 1).await.unwrap_err().to_string();
    assert!(error.contains("the TLS handshake took longer than connect_timeout"), "{error}");
    assert!(questions.try_recv().is_err() && server.received().is_empty());
}

#[cfg(not(feature = "gzip"))]
#[test]
fn a_compression_that_is_not_compiled_in_is_refused_at_once() {
    let error = GrpcAdapter::new(GrpcSettings { compression: Compression::Gzip, ..settings(any_port()) }).unwrap_err();
    assert!(error.to_string().contains("feature `gzip`"), "{error}");
}

#[cfg(all(feature = "gzip", feature = "zstd"))]
#[tokio::test]
async fn compressed_batches_arrive_whole() {
    let server = IngestServer::start(any_port()).await.unwrap();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let settings = GrpcSettings { compression, ..settings(server.address()) };
        ship(&GrpcAdapter::new(settings).unwrap(), 3).await.unwrap();
    }
    let received = server.received();
    assert!(received.iter().all(|batch| batch.traces.len() == 3) && received.len() == 2);
}
