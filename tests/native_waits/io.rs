use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::sleep;

use super::{SHORT, trace, waits_at};

async fn writes_later(mut stream: impl tokio::io::AsyncWrite + Unpin) {
    sleep(SHORT).await;
    stream.write_all(b"x").await.unwrap();
}

async fn reads_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { writes_later(listener.accept().await.unwrap().0).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    reads(&mut stream).await;
}

async fn reads(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    stream.read_exact(&mut [0]).await.unwrap();
}

#[test]
fn a_tcp_stream_is_answered_by_nobody_we_know() {
    waits_at(&trace(reads_tcp()), "reads_tcp;reads;tokio::*;SLEEP");
}

async fn reads_unix() {
    let (one, mut other) = UnixStream::pair().unwrap();
    tokio::spawn(writes_later(one));
    reads(&mut other).await;
}

#[test]
fn a_unix_stream() {
    waits_at(&trace(reads_unix()), "reads_unix;reads;tokio::*;SLEEP");
}

async fn serves() -> std::net::SocketAddr {
    let handler = || async {
        sleep(3 * SHORT).await;
        "done"
    };
    let app = axum::Router::new().route("/", axum::routing::get(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn requests() {
    let address = serves().await;
    gets(address).await;
}

async fn gets(address: std::net::SocketAddr) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<hyper::body::Bytes>>();
    let response = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[test]
fn an_http_request_with_hyper_waits_in_the_function_that_makes_it() {
    waits_at(&trace(requests()), "requests;gets;hyper_util::client::legacy::client::*;SLEEP");
}
