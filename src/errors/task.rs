//! The context that goes with a future.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::context::{self, Slot};
use super::core::is_any_capturing;
use crate::FlameOn;
use crate::capture::current::current_trace_id;

/// Gives a future an error context of its own, for `tokio::spawn`.
pub trait ErrorContextExt: Sized {
    /// Runs it with a copy of the context here: user, tags, contexts, breadcrumbs, what the HTTP layer knows of the
    /// request, the agent and the id of the trace. Later changes on either side stay there. A panic of the spawned task
    /// carries it too.
    ///
    /// ```
    /// # async fn f() {
    /// use flame_on::ErrorContextExt;
    ///
    /// tokio::spawn(async { /* … */ }.with_error_context());
    /// # }
    /// ```
    fn with_error_context(self) -> WithErrorContext<Self> {
        let inherited = || context::copied(current_trace_id());
        WithErrorContext::new(self, is_any_capturing().then(inherited))
    }

    /// Runs it with a new, empty context, for the agent that is current here.
    fn with_new_error_context(self) -> WithErrorContext<Self> {
        WithErrorContext::new(self, is_any_capturing().then(context::empty))
    }
}

impl<F: Future> ErrorContextExt for F {}

pin_project! {
    /// What [`ErrorContextExt`] returns. While no agent captures errors it only passes polls on.
    #[must_use = "futures do nothing unless awaited"]
    pub struct WithErrorContext<F> {
        // `None` only while it is dropped.
        #[pin]
        inner: Option<F>,
        slot: Option<Slot>,
        agent: FlameOn,
    }

    impl<F> PinnedDrop for WithErrorContext<F> {
        // Dropped inside, so that a panic in a destructor carries the context too.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(slot) = &this.slot {
                inside(this.agent, slot, || this.inner.set(None));
            }
        }
    }
}

impl<F> WithErrorContext<F> {
    fn new(inner: F, slot: Option<Slot>) -> Self {
        let agent = if slot.is_some() { FlameOn::current() } else { FlameOn::disabled() };
        Self { inner: Some(inner), slot, agent }
    }

    /// Runs it inside `slot`, for `agent`.
    #[cfg(feature = "tower")]
    pub(crate) fn inside(inner: F, slot: Option<Slot>, agent: FlameOn) -> Self {
        Self { inner: Some(inner), slot, agent }
    }
}

impl<F: Future> Future for WithErrorContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Pending };
        match this.slot {
            Some(slot) => inside(this.agent, slot, || inner.poll(cx)),
            None => inner.poll(cx),
        }
    }
}

/// Runs `f` in the context, and for the agent.
pub(crate) fn inside<R>(agent: &FlameOn, slot: &Slot, f: impl FnOnce() -> R) -> R {
    agent.in_context(|| context::enter(slot, f))
}

impl<F> std::fmt::Debug for WithErrorContext<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithErrorContext").field("has_context", &self.slot.is_some()).finish_non_exhaustive()
    }
}
