//! One HTTP/2 connection, as tonic's client uses it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tonic::body::Body;
use tower_service::Service;

use super::dial::BoxStream;
use super::endpoint;
use super::quiet::{Quiet, QuietExecutor};

// A connection that died without a word is noticed after 5 + 3 s, which leaves a fifth of a call's default 10 s
// for a try on a new one. Pings go out only while a call is open, so one or two for each: servers end connections
// that ping an idle one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Sends requests on one connection, which ends with its last clone.
#[derive(Debug, Clone)]
pub(super) struct Sender(SendRequest<Body>);

/// Speaks HTTP/2 on `stream`. Does not wait for the server, whose first word comes with the first answer.
pub(super) async fn open(stream: BoxStream) -> hyper::Result<Sender> {
    let (sender, connection) = Builder::new(QuietExecutor)
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(false)
        .handshake(TokioIo::new(stream))
        .await?;
    // Its errors reach the calls that they end.
    tokio::spawn(Quiet::new(async { drop(connection.await) }));
    Ok(Sender(sender))
}

impl Sender {
    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(endpoint::USER_AGENT));
        Box::pin(self.0.send_request(request))
    }
}
