//! Times that do not come from the agent: each frame's from just inside of it and from just outside of it. What the
//! agent measures lies between the two, wherever the machine takes the processor away meanwhile.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flame_on::{FrameExt, Scope};
use serde::Serialize;

use crate::clock::Moment;

/// A trace, as its author saw it.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    pub(crate) trace_id: String,
    pub(crate) event_name: &'static str,
    pub(crate) identifier: String,
    /// The first is the whole trace, with no frame in its stack.
    pub(crate) timed: Vec<Timed>,
}

/// How long the frames took that are open in this order, with whatever is between and below them.
#[derive(Debug, Serialize)]
pub(crate) struct Timed {
    pub(crate) stack: Vec<String>,
    pub(crate) at_least_us: u128,
    pub(crate) at_most_us: u128,
}

/// Collects the times of one trace.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    timed: Vec<Timed>,
    /// Between the polls of the trace, from outside of them and from inside.
    waited_at_least: Pauses,
    waited_at_most: Pauses,
}

/// The time between the polls of something.
#[derive(Default)]
struct Pauses {
    sum: Duration,
    /// When the last one began.
    began: Option<Moment>,
}

impl Pauses {
    fn end(&mut self) {
        self.sum += self.began.map_or(Duration::ZERO, Moment::elapsed);
    }

    fn begin(&mut self) {
        self.began = Some(Moment::now());
    }
}

impl Watch {
    /// Runs `work` in a frame.
    pub(crate) fn block<R>(&self, stack: &[&'static str], work: impl FnOnce() -> R) -> R {
        let outside = Moment::now();
        let (result, inside) = flame_on::in_frame(innermost(stack), || {
            let inside = Moment::now();
            let result = work();
            (result, inside.elapsed().as_micros())
        });
        self.note(stack, inside, outside);
        result
    }

    /// Awaits `work` in a frame. Only the polls of the frame and the time between the polls of the trace are the frame's;
    /// what the trace does before and after it in a poll is not.
    pub(crate) async fn wait<R>(&self, stack: &[&'static str], work: impl Future<Output = R>) -> R {
        let before = self.waited();
        let mut inside = Duration::ZERO;
        let mut outside = Duration::ZERO;
        let work = in_polls(work, |took| inside += took).in_frame(innermost(stack));
        let result = in_polls(work, |took| outside += took).await;
        let after = self.waited();
        let at_least = inside + (after.0 - before.0);
        let at_most = outside + (after.1 - before.1);
        self.claim(stack, at_least.as_micros(), at_most.as_micros());
        result
    }

    /// Says what is known of frames that are not opened here, such as a call's.
    pub(crate) fn claim(&self, stack: &[&str], at_least_us: u128, at_most_us: u128) {
        let stack = stack.iter().map(|&name| name.to_owned()).collect();
        self.seen().timed.push(Timed { stack, at_least_us, at_most_us });
    }

    fn note(&self, stack: &[&str], inside: u128, outside: Moment) {
        self.claim(stack, inside, outside.elapsed().as_micros());
    }

    /// How long the trace waited at least, in its last pause before now, until `end`.
    pub(crate) fn waited_until(&self, end: Moment) -> Duration {
        self.seen().waited_at_least.began.map_or(Duration::ZERO, |began| end.since(began))
    }

    /// How long the trace has been waiting: at least, at most.
    fn waited(&self) -> (Duration, Duration) {
        let seen = self.seen();
        (seen.waited_at_least.sum, seen.waited_at_most.sum)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the time between the polls of `work` to one of the pauses.
    async fn between_polls<R>(&self, pauses: fn(&mut Seen) -> &mut Pauses, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            pauses(&mut self.seen()).end();
            let polled = work.as_mut().poll(cx);
            pauses(&mut self.seen()).begin();
            polled
        })
        .await
    }
}

/// Tells how long each poll of `work` takes.
async fn in_polls<R>(work: impl Future<Output = R>, mut took: impl FnMut(Duration)) -> R {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        let began = Moment::now();
        let polled = work.as_mut().poll(cx);
        took(began.elapsed());
        polled
    })
    .await
}

fn innermost(stack: &[&'static str]) -> &'static str {
    stack.last().copied().unwrap_or("nothing")
}

/// Does `work` in a trace of its own.
pub(crate) async fn traced<F: Future<Output = ()>>(
    open: impl FnOnce() -> Scope,
    name: &'static str,
    identifier: &str,
    work: impl FnOnce(Watch) -> F,
) -> anyhow::Result<Done> {
    let watch = Watch::default();
    let outside = Moment::now();
    let scope = open();
    let trace_id = scope.trace_id().ok_or_else(|| anyhow::anyhow!("{name} {identifier} is not traced"))?.to_string();
    let work = watch.between_polls(|seen| &mut seen.waited_at_most, work(watch.clone()));
    let whole = scope.run(async {
        let inside = Moment::now();
        work.await;
        inside.elapsed().as_micros()
    });
    let inside = watch.between_polls(|seen| &mut seen.waited_at_least, whole).await;
    let whole = Timed { stack: Vec::new(), at_least_us: inside, at_most_us: outside.elapsed().as_micros() };
    let mut timed = std::mem::take(&mut watch.seen().timed);
    timed.insert(0, whole);
    Ok(Done { trace_id, event_name: name, identifier: identifier.to_owned(), timed })
}
