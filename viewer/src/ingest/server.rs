//! The gRPC server with both services.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower::limit::GlobalConcurrencyLimitLayer;

use super::auth::ApiKey;
use super::codec::Raw;
use super::requests::{self, Outcome, RequestError};
use crate::proto::flame_on::{IngestErrorsResponse, IngestResponse};
use crate::proto::services::flame_on_error_ingest_server::{FlameOnErrorIngest, FlameOnErrorIngestServer};
use crate::proto::services::flame_on_ingest_server::{FlameOnIngest, FlameOnIngestServer};
use crate::store::Store;

/// Bytes of a request at most, compressed or not. An agent's default is 4 MiB.
pub(crate) const MAX_REQUEST: usize = 16 << 20;
/// Requests at work at once, others wait: together with [`MAX_REQUEST`] the memory that they can take.
const MAX_REQUESTS: usize = 16;
/// A sender that dribbles does not keep its place longer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that are decoded at once: a decoded profile can be large.
const MAX_DECODING: usize = 2;

/// Both services.
#[derive(Debug, Clone)]
struct Ingest {
    store: Arc<Store>,
    key: Option<ApiKey>,
    decoding: Arc<Semaphore>,
}

/// Serves until `stopped` says so, or its sender is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    store: Arc<Store>,
    key: Option<ApiKey>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let ingest = Ingest { store, key, decoding: Arc::new(Semaphore::new(MAX_DECODING)) };
    let traces = FlameOnIngestServer::new(ingest.clone())
        .max_decoding_message_size(MAX_REQUEST)
        .accept_compressed(CompressionEncoding::Gzip);
    let errors = FlameOnErrorIngestServer::new(ingest)
        .max_decoding_message_size(MAX_REQUEST)
        .accept_compressed(CompressionEncoding::Gzip);
    Server::builder()
        .timeout(TIMEOUT)
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .add_service(traces)
        .add_service(errors)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
            // `Err`: the viewer is gone, which stops us too.
            stopped.wait_for(|stopped| *stopped).await.ok();
        })
        .await
}

impl Ingest {
    async fn take(
        &self,
        request: Request<Raw>,
        take: fn(&Store, &Bytes) -> Result<Outcome, RequestError>,
    ) -> Result<Outcome, Status> {
        if let Some(key) = &self.key {
            key.check(request.metadata())?;
        }
        let permit = self.decoding.clone().acquire_owned().await.map_err(|_| Status::unavailable("stopping"))?;
        let (store, Raw(bytes)) = (self.store.clone(), request.into_inner());
        let work = spawn_blocking(move || {
            let outcome = take(&store, &bytes);
            drop(permit);
            outcome
        });
        match work.await {
            Ok(Ok(outcome)) if outcome.kept == 0 && outcome.refused > 0 => {
                Err(Status::invalid_argument(outcome.warnings.join("; ")))
            }
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(RequestError::Unreadable(refusal))) => Err(Status::invalid_argument(refusal.to_string())),
            Ok(Err(RequestError::Store(error))) => Err(Status::unavailable(error.to_string())),
            Err(panicked) => Err(Status::internal(panicked.to_string())),
        }
    }
}

fn count(kept: usize) -> i32 {
    i32::try_from(kept).unwrap_or(i32::MAX)
}

#[tonic::async_trait]
impl FlameOnIngest for Ingest {
    async fn ingest(&self, request: Request<Raw>) -> Result<Response<IngestResponse>, Status> {
        let outcome = self.take(request, requests::take_traces).await?;
        let (ingested, message) = (count(outcome.kept), outcome.warnings.join("; "));
        Ok(Response::new(IngestResponse { success: true, ingested, message }))
    }
}

#[tonic::async_trait]
impl FlameOnErrorIngest for Ingest {
    async fn ingest_errors(&self, request: Request<Raw>) -> Result<Response<IngestErrorsResponse>, Status> {
        let outcome = self.take(request, requests::take_errors).await?;
        let ingested = count(outcome.kept);
        Ok(Response::new(IngestErrorsResponse { success: true, ingested, warnings: outcome.warnings }))
    }
}
