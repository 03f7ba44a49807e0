//! Work for a page off the runtime's threads, and what is answered when there is no page.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::{App, layout};
use crate::ingest::check::Refusal;
use crate::store::{Store, StoreError};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("{0}")]
    NotFound(&'static str),
    #[error("{0}")]
    BadQuery(String),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("what is stored cannot be read: {0}")]
    Broken(#[from] Refusal),
    #[error("{0}")]
    Internal(String),
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title) = match &self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
            Self::BadQuery(_) => (StatusCode::BAD_REQUEST, "This cannot be asked"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "The store does not answer"),
            Self::Broken(_) | Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "This did not work"),
        };
        let body = html! { h1 { (title) } p { (crate::text::shown(&self.to_string(), 500)) } };
        (status, layout::page(title, layout::Tab::None, body)).into_response()
    }
}

impl App {
    /// Runs `work` on a blocking thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, PageError> + Send + 'static,
    ) -> Result<T, PageError> {
        let store: Arc<Store> = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|panicked| Err(PageError::Internal(panicked.to_string())))
    }

    /// As [`App::read`], for work that takes memory and time: few at once.
    pub(super) async fn draw<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, PageError> + Send + 'static,
    ) -> Result<T, PageError> {
        let _permit = self.graphs.acquire().await.map_err(|closed| PageError::Internal(closed.to_string()))?;
        self.read(work).await
    }
}
