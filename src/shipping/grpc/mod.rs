//! Ships to a FlameOn server over gRPC.
//!
//! A server's message limit is not looked at here: a request is made by one function from the traces it is
//! given ([`body`]).

mod body;
mod codec;
mod connection;
mod endpoint;
mod errors;
mod quiet;
#[cfg(feature = "__server")]
#[doc(hidden)]
pub(crate) mod server;
pub(crate) mod settings;
mod status;
#[cfg(all(test, feature = "__server"))]
mod tests;

use std::sync::Arc;

use self::connection::Connection;
use self::settings::{GrpcSettings, GrpcSetupError};
use super::adapter::{ShipContext, ShipperAdapter};
use super::ship_error::ShipError;
use super::trace::TraceBatch;
use crate::encode::proto::flame_on::IngestResponse;

/// What servers take unless told otherwise.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

const INGEST: &str = "/flame_on.FlameOnIngest/Ingest";

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

    fn connection(&self) -> &Connection {
        &self.0
    }

    /// The largest request.
    fn max_message_bytes(&self) -> usize {
        MAX_MESSAGE_BYTES
    }
}

impl ShipperAdapter<TraceBatch> for GrpcAdapter {
    async fn ship(&self, batch: &TraceBatch, context: &ShipContext) -> Result<(), ShipError> {
        let request = body::ingest_request(batch.traces());
        let answer: IngestResponse = self.0.call(INGEST, request, context.time_left).await?;
        if answer.success { Ok(()) } else { Err(ShipError::rejected(&answer.message)) }
    }

    async fn close(&self) {
        self.0.close();
    }
}
