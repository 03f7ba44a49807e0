//! Explicit calls: a future whose waiting is explained as `CALL <name> <shape of the message>`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use pin_project_lite::pin_project;
use serde::Serialize;

use super::clock::Clock;
use super::current::with_current;
use super::routes::{CallMessage, CallStep};
use super::trace::SharedTrace;
use crate::model::call_term::call_label;
use crate::model::counters::Count;
use crate::model::sanitizer::call_term;

/// Labels the waiting for any future as `CALL <name> <shape of form>`.
///
/// The label is made at once, and only when the caller is traced, so the result borrows nothing but what
/// `future` borrows. It carries the shape of `form`, never the contents of its strings, maps or bytes.
///
/// ```
/// # async fn rows(_: &str) -> u64 { 1 }
/// # async fn f() {
/// let sql = String::from("select 1");
/// // In the flame graph: SLEEP;CALL postgres {"query", "..."}
/// let rows = flame_on::call_named("postgres", &("query", &sql), rows(&sql)).await;
/// # }
/// ```
pub fn call_named<T: Serialize + ?Sized, F: Future>(name: &str, form: &T, future: F) -> CallNamed<F> {
    let call = with_current(|recorder| {
        let (number, label_numbers) = recorder.open_call();
        (recorder.shared.clone(), number, label_numbers)
    });
    // Outside of `with_current`: `form` is the user's code.
    let call = call.map(|(shared, number, label_numbers)| {
        let label = call_label(Some(name), Some(&call_term(form, label_numbers)));
        Box::new(TracedCall::new(shared, number, label.into()))
    });
    CallNamed { future, call: Slot(call) }
}

/// As [`call_named`] without a form: `CALL <name>`.
#[cfg(feature = "ractor")]
pub(crate) fn call_unlabelled<F: Future>(name: &str, future: F) -> CallNamed<F> {
    let call = with_current(|recorder| (recorder.open_call().0, recorder.shared.clone()));
    let call =
        call.map(|(number, shared)| Box::new(TracedCall::new(shared, number, call_label(Some(name), None).into())));
    CallNamed { future, call: Slot(call) }
}

pin_project! {
    /// What [`call_named`] returns. `Send` and `'static` whenever the future is.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct CallNamed<F> {
        #[pin]
        future: F,
        call: Slot,
    }
}

impl<F: Future> Future for CallNamed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(call) = &mut this.call.0 else { return this.future.poll(cx) };
        call.send_once();
        let waker = call.waker(cx.waker());
        let polled = this.future.poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            call.answer();
            // Its drop closes the call for the recorder.
            this.call.0 = None;
        }
        polled
    }
}

/// The call of a traced caller.
#[derive(Debug)]
struct Slot(Option<Box<TracedCall>>);

#[derive(Debug)]
struct TracedCall {
    shared: Arc<SharedTrace>,
    number: u32,
    /// Given away with the first message.
    label: Option<Arc<str>>,
    wake: Arc<TimedWaker>,
}

impl TracedCall {
    fn new(shared: Arc<SharedTrace>, number: u32, label: Arc<str>) -> Self {
        let wake = TimedWaker { inner: AtomicWaker::new(), clock: shared.core.clock.clone(), woken: AtomicU64::new(0) };
        Self { shared, number, label: Some(label), wake: Arc::new(wake) }
    }

    /// The first poll sends the message.
    fn send_once(&mut self) {
        if let Some(label) = self.label.take() {
            self.route(CallStep::Receive(label), self.shared.core.clock.raw());
        }
    }

    fn waker(&mut self, outer: &Waker) -> Waker {
        self.wake.inner.register(outer);
        Waker::from(self.wake.clone())
    }

    /// The reply came when the waker was last called, or, if it never was, now.
    fn answer(&mut self) {
        let woken = self.wake.woken.load(Ordering::Acquire);
        let raw = if woken == 0 { self.shared.core.clock.raw() } else { woken };
        self.route(CallStep::Send, raw);
    }

    fn route(&self, step: CallStep, raw: u64) {
        let core = &self.shared.core;
        if !core.routes.route(self.shared.label, CallMessage { call: self.number, step, raw }) {
            core.counters.count(Count::CallsDropped);
        }
    }
}

impl Drop for TracedCall {
    fn drop(&mut self) {
        let (label, number) = (self.shared.label, self.number);
        with_current(|recorder| {
            if recorder.shared.label == label {
                recorder.close_call(number);
            }
        });
    }
}

/// Forwards every wake and remembers when the last one came: on the thread that answers, so this is the
/// time of the reply and not of the poll that finds it.
#[derive(Debug)]
struct TimedWaker {
    inner: AtomicWaker,
    clock: Clock,
    /// Raw time, 0 = never.
    woken: AtomicU64,
}

impl Wake for TimedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the Acquire in `answer`.
        self.woken.store(self.clock.raw(), Ordering::Release);
        self.inner.wake();
    }
}
