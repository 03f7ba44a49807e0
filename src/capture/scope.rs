//! One unit of work, traced or not.

use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::current::{self, current_trace_id};
use super::frame::Waits;
#[cfg(native_capture)]
use super::native::poll::{run, run_call};
use super::recorder::{Leave, Recorder};
use super::trace::SharedTrace;
use crate::model::frame::FrameId;
use crate::model::ids::TraceId;
use crate::model::trace_event::EndReason;

/// One admitted (or not) unit of work.
///
/// Owned and `Send`; nothing is installed in the thread before [`run`](Self::run),
/// [`in_scope`](Self::in_scope) or [`poll_with`](Self::poll_with), so it may be moved to the task that does
/// the work. The trace begins when the scope is made. Dropping a scope ends its trace as cancelled; a scope
/// in which nothing ever ran is discarded and counted in [`Stats::never_run`](crate::Stats).
#[must_use = "a scope traces what is run in it"]
#[derive(Debug)]
pub struct Scope(
    // Emptied by `Drop`: with drop glue of its own, of which almost every scope has no need, each costs a call.
    ManuallyDrop<State>,
);

#[derive(Debug)]
enum State {
    /// Nothing is traced, or the trace is over.
    Off,
    /// The recorder rests here between polls.
    Traced(Box<Recorder>),
    /// Made inside a trace of the same agent: a frame of that trace.
    Frame(Waits),
}

const _: () = assert!(size_of::<Scope>() == 16, "what the layers add to the host's futures and bodies");

/// Ends a scope's trace from anywhere.
#[derive(Debug, Clone)]
pub struct Stopper(Weak<SharedTrace>);

impl Stopper {
    /// Ends the trace now, also while its task sleeps. Does nothing when it has ended already, and for a
    /// scope that is a frame of another trace.
    pub fn stop(&self) {
        let Some(shared) = self.0.upgrade() else { return };
        let now = shared.core.clock.raw();
        if shared.is_recording() && shared.end(EndReason::Stopped, now) {
            shared.signal();
        }
    }
}

impl Scope {
    /// A scope that traces nothing.
    #[inline]
    pub fn none() -> Self {
        Self(ManuallyDrop::new(State::Off))
    }

    pub(crate) fn traced(recorder: Box<Recorder>) -> Self {
        Self(ManuallyDrop::new(State::Traced(recorder)))
    }

    pub(crate) fn frame(id: FrameId) -> Self {
        Self(ManuallyDrop::new(State::Frame(Waits::new(id))))
    }

    /// Leaves a scope that traces nothing in its place.
    #[cfg(feature = "tower")]
    pub(crate) fn take(&mut self) -> Self {
        Self(ManuallyDrop::new(std::mem::replace(&mut *self.0, State::Off)))
    }

    /// Whether what runs in it is recorded, as a trace or as a frame of the trace around it.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        !matches!(*self.0, State::Off)
    }

    /// The trace that this scope records to; for a frame of another trace, the one that runs here.
    pub fn trace_id(&self) -> Option<TraceId> {
        match &*self.0 {
            State::Off => None,
            State::Traced(recorder) => Some(recorder.shared.id),
            State::Frame(_) => current_trace_id(),
        }
    }

    /// Ends this scope's trace from elsewhere; a handle, cheap to clone, that keeps nothing alive.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared().map_or_else(Weak::new, Arc::downgrade))
    }

    /// Its recorder, to be driven by hand.
    #[cfg(test)]
    pub(crate) fn into_recorder(mut self) -> Option<Box<Recorder>> {
        match std::mem::replace(&mut *self.0, State::Off) {
            State::Traced(recorder) => Some(recorder),
            State::Off | State::Frame(_) => None,
        }
    }

    pub(crate) fn shared(&self) -> Option<&Arc<SharedTrace>> {
        match &*self.0 {
            State::Traced(recorder) => Some(&recorder.shared),
            State::Off | State::Frame(_) => None,
        }
    }

    /// Traces `future` until it completes, is dropped, or a [`Stopper`] is used.
    pub fn run<F: Future>(self, future: F) -> Traced<F> {
        Traced { future, scope: self }
    }

    /// Traces the call of `f`.
    pub fn in_scope<R>(mut self, f: impl FnOnce() -> R) -> R {
        let result = self.enter(|is_traced| if is_traced { run_call(f) } else { f() }, |_| None);
        self.finish();
        result
    }

    /// Traces one poll of something that is not a `Future`: a `Stream`, a body, an own state machine. Until
    /// the next call, or [`finish`](Self::finish), the trace counts as waiting.
    pub fn poll_with<R>(&mut self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
        self.enter(|is_traced| if is_traced { run(cx, poll) } else { poll(cx) }, |_| Some(Leave::Waiting))
    }

    /// As `poll_with`; `leave` says how the poll ended, `None` that the work is over, and the trace with it.
    #[inline]
    pub(crate) fn poll_leaving<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> R,
        leave: impl FnOnce(&R) -> Option<Leave>,
    ) -> R {
        self.leaving(|is_traced| if is_traced { run(cx, poll) } else { poll(cx) }, leave)
    }

    #[inline]
    fn leaving<R>(&mut self, turn: impl FnOnce(bool) -> R, leave: impl FnOnce(&R) -> Option<Leave>) -> R {
        if !self.is_sampled() {
            return turn(false);
        }
        let mut is_over = false;
        let result = self.enter(turn, |result| {
            let leave = leave(result);
            is_over = leave.is_none();
            leave
        });
        if is_over {
            self.end(EndReason::Done);
        }
        result
    }

    /// As `poll_leaving`, of a call in which nothing registers a waker.
    #[cfg(any(test, feature = "tower"))]
    #[inline]
    pub(crate) fn call_leaving<R>(&mut self, call: impl FnOnce() -> R, leave: impl FnOnce(&R) -> Option<Leave>) -> R {
        self.leaving(|is_traced| if is_traced { run_call(call) } else { call() }, leave)
    }

    /// Says more about a trace whose identifier stands for many endpoints, and so is not deduplicated; does
    /// nothing for any other. `with` makes the new identifier from the present one.
    #[cfg(feature = "tower")]
    pub(crate) fn describe(&self, with: impl FnOnce(&str) -> String) {
        if let Some(shared) = self.shared() {
            shared.describe(with);
        }
    }

    /// Ends the trace and sends it on: what happens by itself when the work of a scope completes.
    pub fn finish(mut self) {
        self.end(EndReason::Done);
    }

    #[inline(never)]
    pub(crate) fn end(&mut self, reason: EndReason) {
        if let State::Traced(recorder) = std::mem::replace(&mut *self.0, State::Off) {
            recorder.end(reason);
        }
    }

    /// Runs `turn` with the recorder in force, and tells it whether that is so: whether native capture needs something
    /// around it. `leave` says how to close the poll; `None` leaves it open.
    #[inline]
    fn enter<R>(&mut self, turn: impl FnOnce(bool) -> R, leave: impl FnOnce(&R) -> Option<Leave>) -> R {
        match &mut *self.0 {
            State::Off => turn(false),
            State::Frame(waits) => {
                let guard = waits.enter();
                let result = turn(false);
                waits.exit(guard, leave(&result) == Some(Leave::Waiting));
                result
            }
            State::Traced(recorder) => {
                if !recorder.enter_poll() {
                    *self.0 = State::Off;
                    return turn(false);
                }
                let mut installed = Installed::new(&mut self.0);
                let result = turn(true);
                installed.leave(leave(&result));
                result
            }
        }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        // Asked first, and in the caller's own code: of almost every scope this is all there is to drop.
        if self.is_sampled() {
            self.end(EndReason::Cancelled);
        }
    }
}

/// Without native capture there is nothing to do around a poll.
#[cfg(not(native_capture))]
#[inline]
fn run<R>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    poll(cx)
}

/// As `run`, of a call.
#[cfg(not(native_capture))]
#[inline]
fn run_call<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// A recorder in force on this thread; its drop puts it back into its scope, and what was in force before
/// back into the thread.
struct Installed<'a> {
    home: &'a mut State,
    outer: Option<Box<Recorder>>,
    has_returned: bool,
}

impl<'a> Installed<'a> {
    fn new(home: &'a mut State) -> Self {
        let recorder = match std::mem::replace(home, State::Off) {
            State::Traced(recorder) => Some(recorder),
            State::Off | State::Frame(_) => None,
        };
        Self { home, outer: current::replace(recorder), has_returned: false }
    }

    fn leave(&mut self, leave: Option<Leave>) {
        self.has_returned = true;
        if let Some(leave) = leave {
            current::with_current(|recorder| recorder.leave_poll(leave));
        }
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        let Some(recorder) = current::replace(self.outer.take()) else { return };
        if self.has_returned {
            *self.home = State::Traced(recorder);
        } else {
            recorder.end(EndReason::Panicked);
        }
    }
}

pin_project! {
    /// What [`Scope::run`] returns. `Send` and `'static` whenever the future is.
    ///
    /// Dropping it before it is ready ends the trace as cancelled.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct Traced<F> {
        // Before `scope`: the future is dropped first, and its drop is a part of the trace's time.
        #[pin]
        future: F,
        scope: Scope,
    }
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future;
        this.scope.poll_leaving(cx, |cx| future.poll(cx), |polled| polled.is_pending().then_some(Leave::Waiting))
    }
}

impl<F> Traced<F> {
    /// The trace that the future is recorded to.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.scope.trace_id()
    }
}
