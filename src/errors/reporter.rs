//! What the reporters of requests, jobs and socket events have in common: a context around the work, and a report when
//! it fails.

use std::any::Any;
use std::error::Error;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::context::{ErrorContext, Slot, Surroundings, TaskContext};
use super::report::{Cause, Report};
#[cfg(feature = "tower")]
use super::task::WithErrorContext;
use super::task::inside;
use super::type_names;
use crate::FlameOn;

/// The context of one piece of work. Does nothing when errors are not captured, and is one pointer then and else.
#[derive(Clone, Default)]
pub(crate) struct Reporter(Option<Arc<Work>>);

struct Work {
    agent: FlameOn,
    slot: Slot,
}

impl Reporter {
    /// A new context for `agent`. `surroundings` runs only when errors are captured.
    pub(crate) fn new<S: Surroundings + 'static>(agent: &FlameOn, surroundings: impl FnOnce() -> S) -> Self {
        Self::of(agent, ErrorContext::of, surroundings)
    }

    /// As [`Reporter::new`], with what the context begins with.
    pub(crate) fn of<S: Surroundings + 'static>(
        agent: &FlameOn,
        context: impl FnOnce(&super::core::ErrorCore) -> ErrorContext,
        surroundings: impl FnOnce() -> S,
    ) -> Self {
        let Some(core) = agent.errors().filter(|core| core.is_open()) else { return Self(None) };
        let slot = TaskContext::new(context(core), Some(Arc::new(surroundings())));
        Self(Some(Arc::new(Work { agent: agent.clone(), slot })))
    }

    /// Runs a part of the work in the context. A panic in it goes on; it is told here only if the hook has not done so,
    /// because the host has put another in its place.
    #[inline]
    pub(crate) fn inside<R>(&self, f: impl FnOnce() -> R) -> R {
        match &self.0 {
            None => f(),
            Some(work) => work.inside(f),
        }
    }

    /// Gives a future the context.
    #[cfg(feature = "tower")]
    pub(crate) fn around<F>(&self, future: F) -> WithErrorContext<F> {
        match &self.0 {
            Some(work) => WithErrorContext::inside(future, Some(work.slot.clone()), work.agent.clone()),
            None => WithErrorContext::inside(future, None, FlameOn::disabled()),
        }
    }

    /// Tells that the work has failed with `error`, unless it comes of a panic that was told.
    pub(crate) fn failed<E: Display + 'static>(&self, error: &E) {
        self.report(|| unhandled(error));
    }

    /// Sends a report from the context, unless the work has panicked: one event for each panic.
    pub(crate) fn report<'e>(&self, report: impl FnOnce() -> Report<'e>) {
        let Some(work) = self.0.as_ref().filter(|work| !work.slot.has_panicked()) else { return };
        work.inside(|| work.agent.capture(report().handled(false)));
    }

    /// Whether errors are captured.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

impl Work {
    fn inside<R>(&self, f: impl FnOnce() -> R) -> R {
        let _watch = PanicWatch { work: self, was_panicking: std::thread::panicking() };
        inside(&self.agent, &self.slot, f)
    }
}

struct PanicWatch<'w> {
    work: &'w Work,
    was_panicking: bool,
}

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        let Work { agent, slot } = self.work;
        if !self.was_panicking && std::thread::panicking() && !slot.has_panicked() {
            slot.note_panic();
            let report = Report::of(Cause::Message("the work panicked".to_owned()), None);
            inside(agent, slot, || agent.capture(report.handled(false)));
        }
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reporter").field(&self.is_on()).finish()
    }
}

/// A report of an error of any type that can be shown. Behind a boxed error its chain is known as well.
pub(crate) fn unhandled<E: Display + 'static>(error: &E) -> Report<'_> {
    let any: &dyn Any = error;
    let boxed: Option<&(dyn Error + 'static)> = match any.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        Some(boxed) => Some(&**boxed),
        None => any.downcast_ref::<Box<dyn Error>>().map(|boxed| &**boxed),
    };
    let cause = match boxed {
        Some(error) => Cause::Error { error, type_name: type_names::of(error) },
        None => match any.downcast_ref::<std::io::Error>() {
            Some(error) => Cause::Error { error, type_name: type_names::of(error) },
            None => Cause::Text { type_name: std::any::type_name::<E>(), text: error },
        },
    };
    Report::of(cause, None)
}

pin_project! {
    /// A future whose error is reported; made by a reporter of jobs or socket events. Passes everything through.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct Reported<F> {
        #[pin]
        inner: F,
        reporter: Reporter,
    }
}

impl<F> Reported<F> {
    pub(crate) fn new(inner: F, reporter: Reporter) -> Self {
        Self { inner, reporter }
    }
}

impl<T, E: Display + 'static, F: Future<Output = Result<T, E>>> Future for Reported<F> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (inner, reporter) = (this.inner, this.reporter);
        let polled = reporter.inside(|| inner.poll(cx));
        if let Poll::Ready(Err(error)) = &polled {
            reporter.failed(error);
        }
        polled
    }
}
