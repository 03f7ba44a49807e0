//! A small ingest server in this process, for tests and the demo. Not part of the public API.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::KeyAndValueRef;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Response, Status};

use crate::encode::proto::flame_on::flame_on_ingest_server::{FlameOnIngest, FlameOnIngestServer};
use crate::encode::proto::flame_on::{IngestRequest, IngestResponse};
use crate::encode::proto::perftools::profiles::Profile;

/// Bytes of a request at most; tonic's default of 4 MiB is a limit to be tested against, not one of this server.
const MAX_REQUEST: usize = 64 << 20;
/// How long open connections get to end at a stop.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// One call that came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its traces.
    pub traces: Vec<ReceivedTrace>,
    /// Its textual metadata.
    pub metadata: Vec<(String, String)>,
}

impl Received {
    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A trace that came in.
#[derive(Debug, Clone)]
pub struct ReceivedTrace {
    /// Its id.
    pub trace_id: String,
    /// Its event name.
    pub event_name: String,
    /// Its identifier.
    pub identifier: String,
    /// Its profile.
    pub profile: Profile,
}

/// How the server answers one call.
#[derive(Debug, Clone)]
pub enum Answer {
    /// `success: false` with this message.
    Reject(String),
    /// A gRPC error.
    Fail(Code, String),
    /// None at all.
    Hang,
}

/// The server. Keeps every batch it accepts. Dropping it ends it without waiting for open calls.
#[derive(Debug)]
pub struct IngestServer {
    address: SocketAddr,
    service: Service,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Service {
    received: Arc<watch::Sender<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl IngestServer {
    /// Listens on `address`; with port 0 on any that is free.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self::serve(Server::builder(), address, TcpListenerStream::new(listener)))
    }

    /// As [`IngestServer::start`], with TLS.
    ///
    /// # Errors
    /// When the address cannot be had.
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    pub async fn start_tls(address: SocketAddr, config: Arc<tokio_rustls::rustls::ServerConfig>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (secured, streams) = tokio::sync::mpsc::channel::<io::Result<ServerStream>>(16);
        // Ends with the server, which holds the other end.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, secured) = (tokio_rustls::TlsAcceptor::from(config.clone()), secured.clone());
                tokio::spawn(async move {
                    // `Err`: the peer did not like us, or we it; that is what tests are about.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        secured.send(Ok(ServerStream(Box::new(stream)))).await.ok();
                    }
                });
            }
        });
        Ok(Self::serve(Server::builder(), address, tokio_stream::wrappers::ReceiverStream::new(streams)))
    }

    /// Serves streams that come from elsewhere, such as pipes in memory.
    pub fn on_streams<S>(streams: tokio::sync::mpsc::Receiver<io::Result<S>>) -> Self
    where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self::serve(Server::builder(), nowhere, tokio_stream::wrappers::ReceiverStream::new(streams))
    }

    fn serve<I, S>(mut server: Server, address: SocketAddr, incoming: I) -> Self
    where
        I: Stream<Item = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let service = Service { received: Arc::new(watch::channel(Vec::new()).0), answers: Arc::default() };
        let (stop, stopped) = oneshot::channel();
        let ingest = FlameOnIngestServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST);
        #[cfg(feature = "gzip")]
        let ingest = ingest.accept_compressed(tonic::codec::CompressionEncoding::Gzip);
        #[cfg(feature = "zstd")]
        let ingest = ingest.accept_compressed(tonic::codec::CompressionEncoding::Zstd);
        let serving = server.add_service(ingest).serve_with_incoming_shutdown(
            incoming,
            // A dropped sender is a stop as well.
            async { drop(stopped.await) },
        );
        // Its errors are those of single connections.
        let done = tokio::spawn(async { drop(serving.await) });
        Self { address, service, stop, done }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next call that has no answer yet in this way; without one, calls are accepted.
    pub fn answer_next(&self, answer: Answer) {
        self.service.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
    }

    /// The batches accepted so far.
    pub fn received(&self) -> Vec<Received> {
        self.service.received.borrow().clone()
    }

    /// Waits until `count` batches have been accepted.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut received = self.service.received.subscribe();
        match received.wait_for(|batches| batches.len() >= count).await {
            Ok(batches) => batches.clone(),
            // Cannot be: the sender lives as long as we do.
            Err(_closed) => Vec::new(),
        }
    }

    /// Stops: open calls get a second to end. Returns what was accepted.
    pub async fn stop(self) -> Vec<Received> {
        // Failing means that it has ended already.
        self.stop.send(()).ok();
        let mut done = self.done;
        if timeout(STOP_LIMIT, &mut done).await.is_err() {
            done.abort();
        }
        self.service.received.borrow().clone()
    }
}

/// A stream that tonic knows nothing about.
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
struct ServerStream(Box<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>);

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
mod server_stream {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::{Connected, ServerStream};

    impl Connected for ServerStream {
        type ConnectInfo = ();
        fn connect_info(&self) {}
    }

    impl AsyncRead for ServerStream {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut *self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for ServerStream {
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
}

#[tonic::async_trait]
impl FlameOnIngest for Service {
    async fn ingest(&self, request: Request<IngestRequest>) -> Result<Response<IngestResponse>, Status> {
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let response = |success, ingested, message| Ok(Response::new(IngestResponse { success, ingested, message }));
        match answer {
            None => response(true, self.keep(request), String::new()),
            Some(Answer::Reject(message)) => response(false, 0, message),
            Some(Answer::Fail(code, message)) => Err(Status::new(code, message)),
            Some(Answer::Hang) => std::future::pending().await,
        }
    }
}

impl Service {
    fn keep(&self, request: Request<IngestRequest>) -> i32 {
        let metadata = request.metadata().iter().filter_map(|pair| match pair {
            KeyAndValueRef::Ascii(key, value) => Some((key.to_string(), value.to_str().ok()?.to_owned())),
            KeyAndValueRef::Binary(..) => None,
        });
        let metadata = metadata.collect();
        let traces = request.into_inner().traces.into_iter().map(|trace| ReceivedTrace {
            trace_id: trace.trace_id,
            event_name: trace.event_name,
            identifier: trace.event_identifier,
            profile: trace.profile.unwrap_or_default(),
        });
        let received = Received { metadata, traces: traces.collect() };
        let count = i32::try_from(received.traces.len()).unwrap_or(i32::MAX);
        self.received.send_modify(|batches| batches.push(received));
        count
    }
}
