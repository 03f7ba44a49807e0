//! The pages. Everything shown is untrusted: it passes maud, which escapes it, and [`crate::text`], which spells out what
//! a reader could be deceived by. No page has a script or a style of its own.

mod assets;
mod endpoints;
mod errors;
mod event_page;
mod events;
mod format;
mod guard;
mod layout;
mod parts;
mod query;
mod respond;
mod trace_page;
mod traces;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::store::Store;

/// Graphs that are computed at once: each takes memory and a core.
const MAX_GRAPHS: usize = 2;

/// What every page can use.
#[derive(Debug, Clone)]
struct App {
    store: Arc<Store>,
    /// Where agents ship to.
    grpc: SocketAddr,
    graphs: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

/// Serves until `stopped` says so, or its sender is gone.
pub(crate) async fn serve(
    listener: TcpListener,
    store: Arc<Store>,
    grpc: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let is_local = listener.local_addr()?.ip().is_loopback();
    let app = App { store, grpc, graphs: Arc::new(Semaphore::new(MAX_GRAPHS)), stopped: stopped.clone() };
    axum::serve(listener, router(app, is_local))
        .with_graceful_shutdown(async move {
            // `Err`: the viewer is gone, which stops us too.
            stopped.wait_for(|stopped| *stopped).await.ok();
        })
        .await
}

fn router(app: App, is_local: bool) -> Router {
    Router::new()
        .route("/", get(traces::page))
        .route("/events", get(events::stream))
        .route("/trace/{id}", get(trace_page::page))
        .route("/trace/{id}/graph.json", get(trace_page::graph))
        .route("/trace/{id}/profile.pb.gz", get(trace_page::profile))
        .route("/trace/{id}/collapsed.txt", get(trace_page::collapsed))
        .route("/trace/{id}/flame.svg", get(trace_page::svg))
        .route("/endpoints", get(endpoints::list))
        .route("/endpoint", get(endpoints::page))
        .route("/endpoint/graph.json", get(endpoints::graph))
        .route("/errors", get(errors::list))
        .route("/errors/group/{group}", get(errors::group))
        .route("/errors/event/{id}", get(event_page::page))
        .route("/assets/{name}", get(assets::serve))
        .fallback(|| async { respond::PageError::NotFound("There is no such page.") })
        .with_state(app)
        .layer(middleware::from_fn(move |request, next| guard::guard(is_local, request, next)))
}
