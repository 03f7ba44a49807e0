//! A network that misbehaves: stands between the adapter and a server, over TCP or over pipes in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::GrpcAdapter;
use super::connection::{Connection, Dial};
use super::dial::{BoxStream, DialError};
use super::settings::{GrpcSettings, ProxySettings, TlsSettings};
use crate::model::config::Compression;

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// There is no connection.
    Refuse,
    /// It opens, and nothing comes back, ever.
    Hang,
    /// It ends after so many bytes to the server: in the middle of a frame.
    Cut(usize),
    /// The server gets all of it, and its answer is cut: the batch arrives twice.
    CutAnswer,
    /// Each byte waits for so long.
    Delay(Duration),
    /// So many bytes a second.
    Throttle(usize),
    /// It ends at once, with a reset where there is such a thing.
    Reset,
    /// What comes back is no HTTP/2.
    Garbage,
    /// The server says that it goes away, and takes nothing.
    GoAway,
}

/// SETTINGS without any, then GOAWAY: nothing was processed, and no error.
const GO_AWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Lets two streams talk as well as the fault lets them.
pub(crate) async fn relay<C, S>(mut client: C, server: S, fault: Fault)
where
    C: AsyncRead + AsyncWrite + Send + Unpin,
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    match fault {
        Fault::Refuse | Fault::Reset => {}
        Fault::Hang => swallow(&mut client).await,
        Fault::Garbage => say(&mut client, b"HTTP/1.1 400 Bad Request\r\n\r\nwhat?").await,
        Fault::GoAway => say(&mut client, GO_AWAY).await,
        Fault::None => drop(tokio::io::copy_bidirectional(&mut client, &mut { server }).await),
        Fault::Cut(bytes) => both(client, server, Pace { limit: bytes, ..Pace::FREE }, Pace::FREE).await,
        Fault::Delay(pause) => both(client, server, Pace { pause, ..Pace::FREE }, Pace::FREE).await,
        // What a server says before an answer, SETTINGS and their acknowledgement, is shorter.
        Fault::CutAnswer => both(client, server, Pace::FREE, Pace { limit: 60, ..Pace::FREE }).await,
        Fault::Throttle(rate) => {
            let pace = Pace { chunk: rate.div_ceil(10), pause: Duration::from_millis(100), limit: usize::MAX };
            both(client, server, pace, Pace::FREE).await;
        }
    }
}

#[derive(Clone, Copy)]
struct Pace {
    chunk: usize,
    pause: Duration,
    limit: usize,
}

impl Pace {
    const FREE: Self = Self { chunk: 1 << 14, pause: Duration::ZERO, limit: usize::MAX };
}

/// Ends both directions when one of them ends.
async fn both<C: AsyncRead + AsyncWrite, S: AsyncRead + AsyncWrite>(client: C, server: S, up: Pace, down: Pace) {
    let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
    tokio::select! {
        () = pump(from_client, to_server, up) => {}
        () = pump(from_server, to_client, down) => {}
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, pace: Pace) {
    let (mut buffer, mut left) = (vec![0; pace.chunk], pace.limit);
    while left > 0 {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if !pace.pause.is_zero() {
            sleep(pace.pause).await;
        }
        let count = count.min(left);
        left -= count;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn say(client: &mut (impl AsyncRead + AsyncWrite + Unpin), words: &[u8]) {
    let mut first = [0; 24];
    client.read_exact(&mut first).await.ok();
    client.write_all(words).await.ok();
    let mut rest = [0; 1024];
    // What was sent is read, so that a close is no reset that overtakes the words.
    tokio::time::timeout(Duration::from_millis(50), async {
        while client.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    })
    .await
    .ok();
}

async fn swallow(client: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    while client.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// A port before the server's.
pub(crate) async fn tcp_relay(server: std::net::SocketAddr, faults: Vec<Fault>) -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut faults = faults.into_iter();
        loop {
            let fault = faults.next().unwrap_or(Fault::None);
            let (client, _) = listener.accept().await.unwrap();
            if matches!(fault, Fault::Reset | Fault::Refuse) {
                client.set_zero_linger().ok();
                continue;
            }
            let server = TcpStream::connect(server).await.unwrap();
            tokio::spawn(relay(client, server, fault));
        }
    });
    address
}

/// Pipes to a server in this process, of which each has the next fault.
pub(crate) struct Pipes {
    next: Mutex<Box<dyn FnMut() -> Fault + Send>>,
    to_server: mpsc::Sender<std::io::Result<DuplexStream>>,
}

impl Pipes {
    pub(crate) fn new(
        to_server: mpsc::Sender<std::io::Result<DuplexStream>>,
        next: impl FnMut() -> Fault + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { next: Mutex::new(Box::new(next)), to_server })
    }
}

impl std::fmt::Debug for Pipes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipes")
    }
}

impl Dial for Pipes {
    fn dial(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<BoxStream, DialError>> + Send + '_>> {
        let fault = self.next.lock().unwrap()();
        Box::pin(async move {
            if fault == Fault::Refuse {
                return Err(DialError::Connect("refused".into()));
            }
            let (ours, relayed) = tokio::io::duplex(1 << 16);
            let (to_server, servers) = tokio::io::duplex(1 << 16);
            self.to_server.send(Ok(servers)).await.unwrap();
            tokio::spawn(relay(relayed, to_server, fault));
            Ok(BoxStream::new(ours))
        })
    }
}

fn settings(host: &str, port: u16, send_timeout: Duration) -> GrpcSettings {
    GrpcSettings {
        host: host.into(),
        port,
        socket: None,
        proxy: ProxySettings::default(),
        api_key: None,
        use_ssl: false,
        connect_timeout: send_timeout,
        send_timeout,
        max_message_bytes: 4 << 20,
        compression: Compression::None,
        tls: TlsSettings::default(),
    }
}

/// An adapter that reaches its server through pipes.
pub(crate) fn over_pipes(pipes: Arc<Pipes>, send_timeout: Duration) -> GrpcAdapter {
    GrpcAdapter(Arc::new(Connection::with_dialer(settings("pipe", 1, send_timeout), pipes).unwrap()))
}

/// An adapter for this address.
pub(crate) fn over_tcp(address: std::net::SocketAddr, send_timeout: Duration) -> GrpcAdapter {
    GrpcAdapter::new(settings(&address.ip().to_string(), address.port(), send_timeout)).unwrap()
}
