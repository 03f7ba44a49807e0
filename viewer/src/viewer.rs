//! The running viewer: both servers and what looks after the store.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ingest::auth::ApiKey;
use crate::ingest::{files, server};
use crate::options::Options;
use crate::store::{Bounds, Data, Sort, Store, StoreError, TraceFilter, retention};
use crate::summary::TraceSummary;
use crate::web;

/// How often what is too old is deleted.
const EVICTION_PERIOD: Duration = Duration::from_secs(60);
/// How long open connections get to end at a stop: a page that listens for arrivals never ends by itself.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Why a viewer cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running viewer. Dropping it stops it without waiting; [`Viewer::stop`] waits for open calls.
#[derive(Debug)]
#[must_use = "dropping it stops the viewer"]
pub struct Viewer {
    grpc: SocketAddr,
    http: SocketAddr,
    store: Arc<Store>,
    stop: watch::Sender<bool>,
    /// The servers end by themselves once they are told to.
    servers: Vec<JoinHandle<()>>,
    /// What never ends by itself.
    keepers: Vec<JoinHandle<()>>,
}

impl Viewer {
    /// Opens the store, listens, and serves on the current runtime.
    ///
    /// # Errors
    /// When the store cannot be opened or an address cannot be had.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (grpc, grpc_address) = listen(options.grpc).await?;
        let (http, http_address) = listen(options.http).await?;
        let store = open(options.data, options.bounds).await?;
        let (stop, stopped) = watch::channel(false);
        let key = options.api_key.map(ApiKey::new);
        let ingest = server::serve(grpc, store.clone(), key, stopped.clone());
        let pages = web::serve(http, store.clone(), grpc_address, stopped);
        let servers = vec![
            tokio::spawn(async { report("gRPC", ingest.await.err().map(|error| error.to_string())) }),
            tokio::spawn(async { report("HTTP", pages.await.err().map(|error| error.to_string())) }),
        ];
        let mut keepers = vec![tokio::spawn(evict(store.clone()))];
        keepers.extend(options.watch.map(|directory| tokio::spawn(files::watch(store.clone(), directory))));
        Ok(Self { grpc: grpc_address, http: http_address, store, stop, servers, keepers })
    }

    /// Where agents ship to.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the page is.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The newest traces, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn newest(&self, limit: u32) -> Result<Vec<TraceSummary>, StoreError> {
        let store = self.store.clone();
        let read = move || store.traces(&TraceFilter::default(), Sort::Time, limit, 0);
        match tokio::task::spawn_blocking(read).await {
            Ok(rows) => Ok(rows?.into_iter().map(TraceSummary::from).collect()),
            // Blocking tasks are not aborted: it has panicked.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Stops; open calls get a second to end.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for mut server in std::mem::take(&mut self.servers) {
            if tokio::time::timeout(STOP_LIMIT, &mut server).await.is_err() {
                server.abort();
            }
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.keepers.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn open(data: Data, bounds: Bounds) -> Result<Arc<Store>, StoreError> {
    match tokio::task::spawn_blocking(move || Store::open(&data, bounds)).await {
        Ok(opened) => Ok(Arc::new(opened?)),
        // Blocking tasks are not aborted: it has panicked.
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn report(what: &str, error: Option<String>) {
    if let Some(error) = error {
        tracing::error!("the {what} server has ended: {error}");
    }
}

async fn evict(store: Arc<Store>) {
    loop {
        tokio::time::sleep(EVICTION_PERIOD).await;
        let store = store.clone();
        let evicted = tokio::task::spawn_blocking(move || store.evict_old(retention::now_us())).await;
        if let Ok(Err(error)) = evicted {
            tracing::warn!("cannot delete what is too old: {error}");
        }
    }
}

/// Imports files into a store that no viewer of this process has open; one of another process may. Blocks. Returns each
/// file that was not imported with the reason; the others are in the store.
///
/// # Errors
/// When the store cannot be opened.
pub fn import(data: &Data, bounds: Bounds, paths: &[PathBuf]) -> Result<Vec<files::ImportError>, StoreError> {
    let store = Store::open(data, bounds)?;
    Ok(paths.iter().filter_map(|path| files::import(&store, path).err()).collect())
}
