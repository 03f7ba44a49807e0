//! The one channel to the server: opened when needed, used again, given up when it is old or broken.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

use super::codec::Preencoded;
use super::dial::{BoxStream, DialError, Dialer};
use super::http2::{self, Sender};
use super::quiet::Quiet;
use super::settings::{ApiKey, GrpcSettings, GrpcSetupError};
use super::status::{is_transport, to_ship_error};
use super::{compression, endpoint, settings};
use crate::shipping::ship_error::{ShipError, text_of};

#[cfg(test)]
mod tests;

/// A channel that nobody has used for this long is closed: load balancers drop silent connections after about
/// the same time, and do not say so.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// A channel is replaced after this long, so that a server's new addresses come into use.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);
/// Bytes of an answer at most. It is a flag, a count and a message.
const MAX_ANSWER: usize = 64 << 10;

/// The connection to one server.
#[derive(Debug)]
pub(super) struct Connection {
    settings: settings::GrpcSettings,
    target: String,
    authorization: Option<MetadataValue<Ascii>>,
    origin: Uri,
    compression: Option<CompressionEncoding>,
    dialer: Arc<dyn Dial>,
    live: Slot,
}

/// Opens streams; a seam for tests, which bring their own.
pub(super) trait Dial: std::fmt::Debug + Send + Sync {
    fn dial(&self) -> Pin<Box<dyn Future<Output = Result<BoxStream, DialError>> + Send + '_>>;

    /// Whether the next stream would be opened with other certificates.
    fn has_changed(&self) -> bool {
        false
    }

    /// What was read from the system is read again.
    fn forget(&self) {}
}

impl Dial for Dialer {
    fn dial(&self) -> Pin<Box<dyn Future<Output = Result<BoxStream, DialError>> + Send + '_>> {
        Box::pin(Self::dial(self))
    }

    fn has_changed(&self) -> bool {
        Self::has_changed(self)
    }

    fn forget(&self) {
        self.forget_roots();
    }
}

/// Where the channel is, if there is one.
type Slot = Arc<Mutex<Option<Live>>>;

#[derive(Debug)]
struct Live {
    channel: Sender,
    opened: Instant,
    last_used: Instant,
    /// Calls that are open now.
    calls: usize,
}

impl Live {
    /// When to look again whether the channel has expired; `None` if it has.
    fn expires(&self, now: Instant) -> Option<Instant> {
        if self.calls > 0 {
            return Some(now + MAX_IDLE);
        }
        Some((self.last_used + MAX_IDLE).min(self.opened + MAX_AGE)).filter(|expiry| *expiry > now)
    }
}

impl Connection {
    /// Checks the settings; connects when the first call is made.
    pub(super) fn new(settings: GrpcSettings) -> Result<Self, GrpcSetupError> {
        let dialer = Dialer::new(&settings, endpoint::origin(&settings)?)?;
        Self::with_dialer(settings, Arc::new(dialer))
    }

    /// As [`Connection::new`], with streams from elsewhere.
    pub(super) fn with_dialer(settings: GrpcSettings, dialer: Arc<dyn Dial>) -> Result<Self, GrpcSetupError> {
        Ok(Self {
            target: endpoint::target(&settings),
            origin: endpoint::origin(&settings)?,
            authorization: settings.api_key.as_ref().map(ApiKey::to_header).transpose()?,
            compression: compression(settings.compression)?,
            settings,
            dialer,
            live: Slot::default(),
        })
    }

    /// Calls `path` with an encoded message and decodes the answer, all within `limit` and `send_timeout`.
    ///
    /// An error of a connection that had been used before says little (the server may have restarted since), so
    /// the call is then made once more on a new one.
    pub(super) async fn call<R>(&self, path: &'static str, message: Bytes, limit: Duration) -> Result<R, ShipError>
    where
        R: prost::Message + Default + 'static,
    {
        let limit = limit.min(self.settings.send_timeout);
        match timeout(limit, Quiet::new(self.try_twice(path, message, limit))).await {
            Ok(result) => result,
            Err(_elapsed) => {
                Err(ShipError::retryable(format!("no answer from {} within {} ms", self.target, limit.as_millis())))
            }
        }
    }

    /// Bytes of a request at most.
    pub(super) fn max_message_bytes(&self) -> usize {
        self.settings.max_message_bytes
    }

    /// Gives the channel up; a later call opens a new one.
    pub(super) fn close(&self) {
        let live = lock(&self.live).take();
        drop(live);
    }

    async fn try_twice<R>(&self, path: &'static str, message: Bytes, limit: Duration) -> Result<R, ShipError>
    where
        R: prost::Message + Default + 'static,
    {
        let mut call = self.open_call().await?;
        let mut result = call.unary(path, self.request(message.clone(), limit)).await;
        if call.is_reused && matches!(&result, Err(status) if is_transport(status)) {
            drop(call);
            call = self.open_call().await?;
            result = call.unary(path, self.request(message, limit)).await;
        }
        if matches!(&result, Err(status) if is_transport(status)) {
            // The next try shall see root certificates that were replaced meanwhile.
            self.dialer.forget();
        }
        result.map_err(|status| to_ship_error(&status, &self.target))
    }

    fn request(&self, message: Bytes, limit: Duration) -> Request<Bytes> {
        let mut request = Request::new(message);
        request.set_timeout(limit);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    /// Begins a call on the channel there is, or on a new one.
    async fn open_call(&self) -> Result<Call, ShipError> {
        if let Some(call) = self.reuse(Instant::now()) {
            return Ok(call);
        }
        let failed = |error: &(dyn std::error::Error + 'static)| {
            self.dialer.forget();
            ShipError::retryable(format!("cannot ship to {}: {}", self.target, text_of(error)))
        };
        let stream = self.dialer.dial().await.map_err(|error| failed(&error))?;
        let channel = http2::open(stream).await.map_err(|error| failed(&error))?;
        let now = Instant::now();
        let live = Live { channel: channel.clone(), opened: now, last_used: now, calls: 1 };
        // Dropped after the lock: the transport is not ours to run under it.
        let old = lock(&self.live).replace(live);
        drop(old);
        tokio::spawn(Quiet::new(close_when_expired(Arc::downgrade(&self.live), now)));
        Ok(self.call_on(channel, now, false))
    }

    fn call_on(&self, channel: Sender, opened: Instant, is_reused: bool) -> Call {
        let (slot, origin, compression) = (self.live.clone(), self.origin.clone(), self.compression);
        Call { channel, opened, slot, origin, compression, is_reused, is_sound: false }
    }

    fn reuse(&self, now: Instant) -> Option<Call> {
        let has_changed = self.dialer.has_changed();
        let mut slot = lock(&self.live);
        let is_fresh = |live: &Live| live.expires(now).is_some() && now < live.opened + MAX_AGE;
        let live = slot.as_mut().filter(|live| is_fresh(live) && !has_changed && !live.channel.is_closed())?;
        live.calls += 1;
        let (channel, opened) = (live.channel.clone(), live.opened);
        drop(slot);
        Some(self.call_on(channel, opened, true))
    }
}

/// A call on a channel. If it is dropped before its answer, the channel is given up: a server that did not answer
/// in time may be gone.
struct Call {
    channel: Sender,
    origin: Uri,
    compression: Option<CompressionEncoding>,
    /// Tells the channel from a later one.
    opened: Instant,
    slot: Slot,
    /// Whether the channel had been used before.
    is_reused: bool,
    /// Whether the channel has answered.
    is_sound: bool,
}

impl Call {
    async fn unary<R>(&mut self, path: &'static str, request: Request<Bytes>) -> Result<R, Status>
    where
        R: prost::Message + Default + 'static,
    {
        let grpc = Grpc::with_origin(self.channel.clone(), self.origin.clone());
        let mut grpc = grpc.max_decoding_message_size(MAX_ANSWER);
        if let Some(encoding) = self.compression {
            grpc = grpc.send_compressed(encoding);
        }
        let result = match grpc.ready().await {
            Ok(()) => grpc.unary(request, PathAndQuery::from_static(path), Preencoded::<R>::new()).await,
            Err(error) => Err(Status::from_error(Box::new(error))),
        };
        self.is_sound = !matches!(&result, Err(status) if is_transport(status));
        result.map(tonic::Response::into_inner)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        let Some(live) = slot.as_mut().filter(|live| live.opened == self.opened) else { return };
        live.calls = live.calls.saturating_sub(1);
        live.last_used = Instant::now();
        let broken = if self.is_sound { None } else { slot.take() };
        // The lock first, as above.
        drop(slot);
        drop(broken);
    }
}

/// Closes the channel that was opened at `opened` when it expires. Ends with it, or with the connection.
async fn close_when_expired(slot: Weak<Mutex<Option<Live>>>, opened: Instant) {
    let next_look = |slot: &Mutex<Option<Live>>| {
        let mut slot = lock(slot);
        let live = slot.as_ref().filter(|live| live.opened == opened)?;
        let next = live.expires(Instant::now());
        let expired = if next.is_none() { slot.take() } else { None };
        drop(slot);
        drop(expired);
        next
    };
    while let Some(next) = slot.upgrade().and_then(|slot| next_look(&slot)) {
        sleep_until(next).await;
    }
}

fn lock(slot: &Mutex<Option<Live>>) -> MutexGuard<'_, Option<Live>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
