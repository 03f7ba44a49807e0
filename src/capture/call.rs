//! Explicit calls: a future whose waiting is explained as `CALL <name> <shape of the message>`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;
use serde::Serialize;

use super::clock::Clock;
use super::current::with_current;
use super::routes::{CallMessage, CallStep};
use super::task::is_of_one_task;
use super::trace::SharedTrace;
use crate::model::call_term::call_label;
use crate::model::counters::Count;
use crate::model::sanitizer::call_term;

/// Labels the waiting for any future as `CALL <name> <shape of form>`.
///
/// The label is made at once, and only when the caller is traced, so the result borrows nothing but what
/// `future` borrows. It carries the shape of `form`, never the contents of its strings, maps or bytes. The call
/// belongs to the trace in which it is made: write `scope.run(async { call_named(…).await })`, because in
/// `scope.run(call_named(…))` it is made before the trace runs.
///
/// ```
/// # async fn rows(_: &str) -> u64 { 1 }
/// # async fn f() {
/// let sql = String::from("select 1");
/// // In the flame graph: SLEEP;CALL postgres {"...", "..."}
/// let rows = flame_on::call_named("postgres", &("query", &sql), rows(&sql)).await;
/// # }
/// ```
pub fn call_named<T: Serialize + ?Sized, F: Future>(name: &str, form: &T, future: F) -> CallNamed<F> {
    let label = |label_numbers| call_label(Some(name), Some(&call_term(form, label_numbers)));
    CallNamed::new(future, CallSlot::open(label))
}

pin_project! {
    /// What [`call_named`] returns. `Send` and `'static` whenever the future is.
    ///
    /// It may be polled anywhere: in a `join!`, in another task, after its trace has ended. Dropped before it is
    /// ready it owns no time.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct CallNamed<F> {
        // Before `call`: what the future does in its drop is a part of the call.
        #[pin]
        future: F,
        call: CallSlot,
    }
}

impl<F: Future> CallNamed<F> {
    pub(crate) fn new(future: F, call: CallSlot) -> Self {
        Self { future, call }
    }

    /// As `poll`; `is_reply` says whether the output is one. Without a reply the call owns no time.
    pub(crate) fn poll_reply(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        is_reply: impl FnOnce(&F::Output) -> bool,
    ) -> Poll<F::Output> {
        let this = self.project();
        let Some(call) = this.call.in_force() else { return this.future.poll(cx) };
        call.send_once();
        let waker = call.waker(cx.waker());
        let polled = this.future.poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = &polled {
            if is_reply(output) {
                call.answer();
            }
            // Its drop closes the call for the recorder.
            this.call.0 = None;
        }
        polled
    }
}

impl<F: Future> Future for CallNamed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.poll_reply(cx, |_| true)
    }
}

/// The call of a traced caller; empty for everybody else.
#[derive(Debug)]
pub(crate) struct CallSlot(Option<Box<TracedCall>>);

impl CallSlot {
    /// Opens a call of the trace that runs here, if one does. Only then `label` is asked for the frame's text;
    /// its argument says whether numbers may show.
    pub(crate) fn open(label: impl FnOnce(bool) -> String) -> Self {
        let opened = with_current(|recorder| {
            if !recorder.shared.is_recording() {
                recorder.shared.core.counters.count(Count::CallsDropped);
                return None;
            }
            let (number, label_numbers) = recorder.open_call();
            Some((recorder.shared.clone(), number, label_numbers))
        });
        // Outside of `with_current`: the label is made with the user's code.
        let call = opened.flatten().map(|(shared, number, label_numbers)| {
            Box::new(TracedCall { shared, number, label: Some(label(label_numbers).into()), wake: None, woken: 0 })
        });
        Self(call)
    }

    /// The call, unless its trace is over: then it is given up, and holds the trace's memory no longer.
    fn in_force(&mut self) -> Option<&mut TracedCall> {
        if self.0.as_ref().is_some_and(|call| !call.shared.is_recording()) {
            self.0.take().inspect(|call| call.shared.core.counters.count(Count::CallsDropped));
        }
        self.0.as_deref_mut()
    }
}

#[derive(Debug)]
struct TracedCall {
    shared: Arc<SharedTrace>,
    number: u32,
    /// Given away with the first message.
    label: Option<Arc<str>>,
    wake: Option<Arc<TimedWaker>>,
    /// Raw time of the wake that led to the present poll; 0 = none did.
    woken: u64,
}

impl TracedCall {
    /// The first poll sends the message.
    fn send_once(&mut self) {
        if let Some(label) = self.label.take() {
            self.route(CallStep::Receive(label), self.shared.core.clock.raw());
        }
    }

    /// A waker for one poll that stands for `outer`. Also finds out what led to this poll.
    fn waker(&mut self, outer: &Waker) -> Waker {
        let last = self.wake.take();
        self.woken = last.as_ref().map_or(0, |wake| wake.take_time());
        // The same one again where that makes no difference, so that leaf futures need not clone it again.
        let wake = match last.filter(|wake| is_of_one_task(&wake.outer, outer)) {
            Some(wake) => wake,
            None => Arc::new(TimedWaker::new(outer.clone(), self.shared.core.clock.clone())),
        };
        self.wake = Some(wake.clone());
        wake.into()
    }

    /// The reply came with the wake that led to this poll, else with one during it, else just now: a future
    /// that is polled for other reasons can find its reply before it is told.
    fn answer(&mut self) {
        let during = || self.wake.as_ref().map(|wake| wake.take_time());
        let woken = Some(self.woken).filter(|raw| *raw != 0).or_else(|| during().filter(|raw| *raw != 0));
        self.route(CallStep::Send, woken.unwrap_or_else(|| self.shared.core.clock.raw()));
    }

    fn route(&self, step: CallStep, raw: u64) {
        let core = &self.shared.core;
        if !core.routes.route(self.shared.label, CallMessage { call: self.number, step, raw }) {
            core.counters.count(Count::CallsDropped);
        }
    }
}

impl Drop for TracedCall {
    /// Closes the call for the recorder, if its trace runs here. Elsewhere nothing is said: then it is only the
    /// reply that bounds what the call owns.
    fn drop(&mut self) {
        let (label, number) = (self.shared.label, self.number);
        with_current(|recorder| {
            if recorder.shared.label == label {
                recorder.close_call(number);
            }
        });
    }
}

/// Forwards every wake, whenever and wherever it comes from, to the waker of the poll that it was made for, and
/// remembers when the first one since the last poll came: on the thread that answers, so this is the time of the
/// reply. What passes from there to the next poll is scheduler delay.
///
/// `outer` never changes. A waker that is exchanged in place (`AtomicWaker`) is emptied by its first wake, and a
/// second one before the next poll would be swallowed.
#[derive(Debug)]
struct TimedWaker {
    outer: Waker,
    clock: Clock,
    /// Raw time, 0 = not since the last poll.
    woken: AtomicU64,
}

impl TimedWaker {
    fn new(outer: Waker, clock: Clock) -> Self {
        Self { outer, clock, woken: AtomicU64::new(0) }
    }

    fn take_time(&self) -> u64 {
        // Acquire: pairs with the Release in `wake_by_ref`.
        self.woken.swap(0, Ordering::Acquire)
    }
}

impl Wake for TimedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // `Err`: another wake was first. Before the forwarding, which may lead to a poll at once.
        self.woken.compare_exchange(0, self.clock.raw(), Ordering::Release, Ordering::Relaxed).ok();
        self.outer.wake_by_ref();
    }
}

#[cfg(test)]
mod tests;
