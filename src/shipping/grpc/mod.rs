//! Ships to a FlameOn server over gRPC: a batch as one request, or as several where it is larger than one may be.

mod body;
mod codec;
mod connection;
mod dial;
mod endpoint;
mod errors;
#[cfg(all(test, feature = "__server"))]
pub(crate) mod faults;
mod http2;
mod quiet;
#[cfg(feature = "__server")]
#[doc(hidden)]
pub(crate) mod server;
pub(crate) mod settings;
mod status;
#[cfg(all(test, feature = "__server"))]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tonic::codec::CompressionEncoding;

use self::body::Piece;
use self::connection::Connection;
use self::settings::{GrpcSettings, GrpcSetupError};
use super::adapter::{ShipContext, ShipperAdapter};
use super::ship_error::{Part, ShipError};
use super::trace::TraceBatch;
use crate::encode::proto::flame_on::IngestResponse;
use crate::model::config::Compression;

/// Ships to a FlameOn server. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct GrpcAdapter(Arc<Connection>);

impl GrpcAdapter {
    /// Makes the adapter; connects when the first batch comes.
    ///
    /// # Errors
    /// When the settings cannot work, whatever the server does.
    pub(crate) fn new(settings: GrpcSettings) -> Result<Self, GrpcSetupError> {
        Connection::new(settings).map(|connection| Self(Arc::new(connection)))
    }
}

impl ShipperAdapter<TraceBatch> for GrpcAdapter {
    async fn ship(&self, batch: &TraceBatch, context: &ShipContext) -> Result<(), ShipError> {
        let pieces = body::pieces(batch.traces(), self.0.max_message_bytes());
        self.ship_pieces::<IngestResponse>(pieces, context).await
    }

    async fn close(&self) {
        self.0.close();
    }
}

/// What a server says to a request.
trait Answer: prost::Message + Default + 'static {
    /// The method that answers like this.
    const PATH: &str;

    /// Whether it took the request.
    fn verdict(self) -> Result<(), ShipError>;
}

impl Answer for IngestResponse {
    const PATH: &str = "/flame_on.FlameOnIngest/Ingest";

    fn verdict(self) -> Result<(), ShipError> {
        if self.success { Ok(()) } else { Err(ShipError::rejected(&self.message)) }
    }
}

impl GrpcAdapter {
    /// Sends the pieces of a batch, one after the other; an error says which were settled before it.
    async fn ship_pieces<A: Answer>(
        &self,
        pieces: impl Iterator<Item = Piece> + Send,
        context: &ShipContext,
    ) -> Result<(), ShipError> {
        let deadline = Instant::now() + context.time_left.saturating_sub(margin(context.time_left));
        let mut settled = Vec::new();
        let mut refused = None;
        for piece in pieces {
            let (items, result) = match piece {
                Piece::Request { bytes, items } => (items, self.send::<A>(bytes, deadline).await),
                Piece::TooLarge => (1, Err(ShipError::permanent("an item is larger than max_message_bytes"))),
            };
            match result {
                Ok(()) => settled.push(Part { items, is_accepted: true }),
                Err(error) if error.is_retryable() || error.is_denied() => return Err(error.after(settled)),
                Err(error) => {
                    settled.push(Part { items, is_accepted: false });
                    refused = Some(error);
                }
            }
        }
        refused.map_or(Ok(()), |error| Err(error.after(settled)))
    }

    async fn send<A: Answer>(&self, request: Bytes, deadline: Instant) -> Result<(), ShipError> {
        let time_left = deadline.saturating_duration_since(Instant::now());
        self.0.call::<A>(A::PATH, request, time_left).await?.verdict()
    }
}

/// What tonic calls a compression, where it was compiled in.
fn compression(chosen: Compression) -> Result<Option<CompressionEncoding>, GrpcSetupError> {
    match chosen {
        Compression::None => Ok(None),
        #[cfg(feature = "gzip")]
        Compression::Gzip => Ok(Some(CompressionEncoding::Gzip)),
        #[cfg(feature = "zstd")]
        Compression::Zstd => Ok(Some(CompressionEncoding::Zstd)),
        #[cfg(not(all(feature = "gzip", feature = "zstd")))]
        other => Err(GrpcSetupError::NoCompression { name: other.as_str() }),
    }
}

/// What is kept of the time for a batch, so that we come back in time to say which parts were taken: at its deadline
/// the call is dropped without a word.
fn margin(time_left: Duration) -> Duration {
    (time_left / 20).min(Duration::from_millis(200))
}
