//! What a destination for batches looks like.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::ship_error::ShipError;
use super::trace::Origin;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where batches go.
///
/// Implement it with a plain `async fn`; [`BoxedAdapter`] makes it dynamic.
///
/// `ship` and `close` run on a thread of the agent's own blocking pool, so they may block it. There is one
/// batch at a time and a deadline ([`ShipContext::time_left`]): past it the future is dropped, and a call
/// that does not even come back from blocking is abandoned with its thread. While two calls are stuck in
/// this way the adapter is not called again. A panic loses the batch. All of this is counted in
/// the agent's statistics, and none of it reaches the host's work.
///
/// What an adapter spawns with `tokio::spawn` runs on the agent's own thread, which must not be blocked.
pub trait ShipperAdapter<B>: Send + Sync + 'static {
    /// Ships one batch; `Ok` means that the destination has taken responsibility for all of it.
    ///
    /// # Errors
    /// Says by [`ShipError`] whether the batch is worth another try.
    fn ship(&self, batch: &B, context: &ShipContext) -> impl Future<Output = Result<(), ShipError>> + Send;

    /// Called once, after the last batch, with what is left of the shutdown's time.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// About the batch at hand. Never holds the API key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShipContext {
    /// The configured `service`.
    pub service: Arc<str>,
    /// The configured `environment`.
    pub environment: Arc<str>,
    /// The configured `release`.
    pub release: Arc<str>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// How long the call may take from its beginning; past it the future is dropped.
    pub time_left: Duration,
}

impl ShipContext {
    /// The context of one try; its time is set when the call begins.
    pub(crate) fn new(origin: &Origin, attempt: u32) -> Self {
        let Origin { service, environment, release } = origin.clone();
        Self { service, environment, release, attempt, time_left: Duration::ZERO }
    }
}

impl Default for ShipContext {
    /// The first try of a service called `unknown`, with 10 s: for tests of an adapter.
    fn default() -> Self {
        let unknown: Arc<str> = "unknown".into();
        Self {
            service: unknown.clone(),
            environment: "production".into(),
            release: unknown,
            attempt: 1,
            time_left: Duration::from_secs(10),
        }
    }
}

/// The object-safe face of [`ShipperAdapter`].
trait Erased<B>: Send + Sync {
    fn ship_boxed<'a>(&'a self, batch: &'a B, context: &'a ShipContext) -> BoxFuture<'a, Result<(), ShipError>>;
    fn close_boxed(&self) -> BoxFuture<'_, ()>;
}

impl<B: Sync + 'static, A: ShipperAdapter<B>> Erased<B> for A {
    fn ship_boxed<'a>(&'a self, batch: &'a B, context: &'a ShipContext) -> BoxFuture<'a, Result<(), ShipError>> {
        Box::pin(ShipperAdapter::ship(self, batch, context))
    }

    fn close_boxed(&self) -> BoxFuture<'_, ()> {
        Box::pin(ShipperAdapter::close(self))
    }
}

/// An adapter chosen at run time; itself an adapter. Clones share it.
pub struct BoxedAdapter<B>(Arc<dyn Erased<B>>);

impl<B: Sync + 'static> BoxedAdapter<B> {
    /// Boxes `adapter`.
    pub fn new(adapter: impl ShipperAdapter<B>) -> Self {
        Self(Arc::new(adapter))
    }
}

// Not derived: a derive would ask for `B: Clone`.
impl<B> Clone for BoxedAdapter<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> std::fmt::Debug for BoxedAdapter<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoxedAdapter").finish_non_exhaustive()
    }
}

impl<B: Sync + 'static> ShipperAdapter<B> for BoxedAdapter<B> {
    async fn ship(&self, batch: &B, context: &ShipContext) -> Result<(), ShipError> {
        self.0.ship_boxed(batch, context).await
    }

    async fn close(&self) {
        self.0.close_boxed().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    struct Picky;

    impl ShipperAdapter<Vec<u8>> for Picky {
        async fn ship(&self, batch: &Vec<u8>, context: &ShipContext) -> Result<(), ShipError> {
            if batch.is_empty() { Err(ShipError::permanent(format!("try {}", context.attempt))) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn a_boxed_adapter_does_what_the_adapter_does() {
        let adapter = BoxedAdapter::new(Picky);
        let twice_boxed = BoxedAdapter::new(adapter.clone());
        let context = ShipContext::default();
        assert!(twice_boxed.ship(&vec![1], &context).await.is_ok());
        let error = adapter.ship(&vec![], &context).await.unwrap_err();
        assert_eq!(error.to_string(), "try 1");
        twice_boxed.close().await;
    }
}
