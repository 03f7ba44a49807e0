//! From nothing to a stream of bytes to the server: through a proxy or not, with TLS or not.
//!
//! ```text
//! unix socket ──────────────────────────────┐
//! TCP to the server ────────────────────────┼──► TLS to the server, if `use_ssl` ──► HTTP/2
//! TCP to the proxy ─► TLS to it ─► CONNECT ─┘
//! ```

use std::future::{Future, Ready, ready};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tower_service::Service;

use super::settings::{GrpcSettings, GrpcSetupError};
use super::tls::Tls;

/// A stream to whatever end.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A [`Stream`] of a type that is known when the program runs.
// A type of its own, because the compiler cannot tell that a future holding the bare box is `Send`.
pub(super) struct BoxStream(Box<dyn Stream>);

impl BoxStream {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl AsyncRead for BoxStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for BoxStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// Why there is no stream. Says at which step, and what to look at.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("no connection")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no connection to the socket {}", path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("no connection to the proxy {proxy}")]
    ProxyConnect { proxy: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the proxy {proxy} does not connect us (see HTTPS_PROXY and NO_PROXY)")]
    Proxy { proxy: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("no TLS with {with}")]
    Tls { with: String, source: io::Error },
    #[error(transparent)]
    Setup(#[from] GrpcSetupError),
    #[error("{step} took longer than connect_timeout ({} ms)", limit.as_millis())]
    TimedOut { step: &'static str, limit: Duration },
}

/// Opens streams to one server.
#[derive(Debug)]
pub(super) struct Dialer {
    /// `https`, because only such addresses go through the proxy.
    server: Uri,
    socket: Option<PathBuf>,
    proxy: Option<Intercept>,
    tls: Option<Tls>,
    limit: Duration,
}

impl Dialer {
    pub(super) fn new(settings: &GrpcSettings, server: Uri) -> Result<Self, GrpcSetupError> {
        let is_direct = settings.socket.is_some() || !settings.use_ssl;
        Ok(Self {
            proxy: settings.proxy.matcher().intercept(&server).filter(|_| !is_direct),
            server,
            socket: settings.socket.clone(),
            tls: settings.use_ssl.then(|| Tls::new(settings)).transpose()?,
            limit: settings.connect_timeout,
        })
    }

    /// Whether certificates on disk are others than those that the last stream was opened with.
    pub(super) fn has_changed(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::has_changed)
    }

    /// The system's root certificates are read again for the next stream.
    pub(super) fn forget_roots(&self) {
        if let Some(tls) = &self.tls {
            tls.forget();
        }
    }

    pub(super) async fn dial(&self) -> Result<BoxStream, DialError> {
        let raw = match (&self.socket, &self.proxy) {
            (Some(path), _) => self.within("connecting", socket(path)).await??,
            (None, Some(proxy)) => self.through(proxy).await?,
            (None, None) => self.within("connecting", self.tcp(&self.server)).await?.map_err(DialError::Connect)?,
        };
        match &self.tls {
            None => Ok(raw),
            Some(tls) => self.handshake(tls, tls.server_name()?, "the server", raw).await,
        }
    }

    async fn tcp(&self, to: &Uri) -> Result<BoxStream, Box<dyn std::error::Error + Send + Sync>> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        // Divided among the addresses of a name, so that one that swallows packets leaves time for the others.
        connector.set_connect_timeout(Some(self.limit));
        Ok(BoxStream::new(connector.call(to.clone()).await?.into_inner()))
    }

    async fn through(&self, proxy: &Intercept) -> Result<BoxStream, DialError> {
        let uri = proxy.uri();
        // Without user and password.
        let name = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or_default());
        let failed = |source| DialError::ProxyConnect { proxy: name.clone(), source };
        let raw = self.within("connecting to the proxy", self.tcp(uri)).await?.map_err(failed)?;
        let stream = match &self.tls {
            Some(tls) if uri.scheme_str() == Some("https") => {
                self.handshake(tls, super::tls::name(uri.host().unwrap_or_default())?, "the proxy", raw).await?
            }
            _ => raw,
        };
        let mut tunnel = Tunnel::new(uri.clone(), Opened(Some(TokioIo::new(stream))));
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let opened = self.within("the proxy's answer", tunnel.call(self.server.clone())).await?;
        let opened = opened.map_err(|source| DialError::Proxy { proxy: name, source: source.into() })?;
        Ok(opened.into_inner())
    }

    async fn handshake(
        &self,
        tls: &Tls,
        name: super::tls::Name,
        with: &'static str,
        stream: BoxStream,
    ) -> Result<BoxStream, DialError> {
        let shown = format!("{with} ({})", super::tls::shown(&name));
        let secured =
            self.within("the TLS handshake", tls.connector(with == "the server")?.connect(name, stream)).await?;
        Ok(BoxStream::new(secured.map_err(|source| DialError::Tls { with: shown, source })?))
    }

    async fn within<F: Future>(&self, step: &'static str, work: F) -> Result<F::Output, DialError> {
        timeout(self.limit, work).await.map_err(|_elapsed| DialError::TimedOut { step, limit: self.limit })
    }
}

#[cfg(unix)]
async fn socket(path: &Path) -> Result<BoxStream, DialError> {
    match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => Ok(BoxStream::new(stream)),
        Err(source) => Err(DialError::Socket { path: path.to_owned(), source }),
    }
}

#[cfg(not(unix))]
async fn socket(path: &Path) -> Result<BoxStream, DialError> {
    Err(DialError::Socket { path: path.to_owned(), source: io::ErrorKind::Unsupported.into() })
}

/// A connection that is there already, for whoever wants to make it.
struct Opened(Option<TokioIo<BoxStream>>);

impl Service<Uri> for Opened {
    type Response = TokioIo<BoxStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<BoxStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
