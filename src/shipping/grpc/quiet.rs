//! Keeps our own transport out of the host's `tracing`.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tracing::Dispatch;
use tracing::dispatcher::{has_been_set, with_default};

pin_project! {
    /// Polls and drops a future without a `tracing` subscriber: what hyper, h2 and tonic tell about our own
    /// connection must not show up among the host's events, or be shipped in turn.
    ///
    /// `Dispatch::none()`, because a subscriber that wants nothing doubles the cost of the host's own events.
    pub(super) struct Quiet<F> {
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Quiet<F> {
        fn drop(this: Pin<&mut Self>) {
            quietly(|| this.project().future.set(None));
        }
    }
}

impl<F> Quiet<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future: Some(future) }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().future.as_pin_mut() {
            Some(future) => quietly(|| future.poll(cx)),
            // Only the destructor empties it.
            None => Poll::Pending,
        }
    }
}

/// Runs `work` without a subscriber.
fn quietly<R>(work: impl FnOnce() -> R) -> R {
    // Where there is none, setting ours would count as one: `tracing`'s `log` feature forwards a host's events
    // to its logger only as long as no subscriber has ever been set.
    if has_been_set() { with_default(&Dispatch::none(), work) } else { work() }
}

/// Runs what the transport spawns, such as the task of its connection, on the runtime around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuietExecutor;

impl<F> Executor<F> for QuietExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(Quiet::new(future));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};

    use super::*;

    struct CountEvents(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for CountEvents {
        fn on_event(&self, _: &tracing::Event<'_>, _: LayerContext<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct TellsOfItsEnd;

    impl Drop for TellsOfItsEnd {
        fn drop(&mut self) {
            tracing::info!("dropped");
        }
    }

    #[test]
    fn neither_a_poll_nor_a_drop_is_heard_and_the_host_is_heard_between() {
        let heard = Arc::new(AtomicUsize::new(0));
        let subscriber = tracing_subscriber::registry().with(CountEvents(heard.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let talkative = async {
                let _end = TellsOfItsEnd;
                tracing::info!("one");
                tokio::task::yield_now().await;
                tracing::info!("two");
                std::future::pending::<()>().await;
            };
            let mut quiet = Box::pin(Quiet::new(talkative));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(quiet.as_mut().poll(&mut cx).is_pending());
            tracing::info!("the host's own");
            assert!(quiet.as_mut().poll(&mut cx).is_pending());
            drop(quiet);
            assert_eq!(heard.load(Ordering::Relaxed), 1);
        });
    }
}
