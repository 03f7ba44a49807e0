//! Times that do not come from the agent: each frame's from just inside of it and from just outside of it. What the
//! agent measures lies between the two.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use flame_on::{FrameExt, Scope};
use serde::Serialize;

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
pub(crate) struct Watch(Arc<Mutex<Vec<Timed>>>);

impl Watch {
    /// Runs `work` in a frame.
    pub(crate) fn block<R>(&self, stack: &[&'static str], work: impl FnOnce() -> R) -> R {
        let outside = Instant::now();
        let (result, inside) = flame_on::in_frame(innermost(stack), || {
            let inside = Instant::now();
            let result = work();
            (result, inside.elapsed().as_micros())
        });
        self.note(stack, inside, outside);
        result
    }

    /// Awaits `work` in a frame.
    pub(crate) async fn wait<R>(&self, stack: &[&'static str], work: impl Future<Output = R>) -> R {
        let outside = Instant::now();
        let timed = async {
            let inside = Instant::now();
            let result = work.await;
            (result, inside.elapsed().as_micros())
        };
        let (result, inside) = timed.in_frame(innermost(stack)).await;
        self.note(stack, inside, outside);
        result
    }

    /// Says what is known of frames that are not opened here, such as a call's.
    pub(crate) fn claim(&self, stack: &[&str], at_least_us: u128, at_most_us: u128) {
        let stack = stack.iter().map(|&name| name.to_owned()).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Timed { stack, at_least_us, at_most_us });
    }

    fn note(&self, stack: &[&str], inside: u128, outside: Instant) {
        self.claim(stack, inside, outside.elapsed().as_micros());
    }
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
    let outside = Instant::now();
    let scope = open();
    let trace_id = scope.trace_id().ok_or_else(|| anyhow::anyhow!("{name} {identifier} is not traced"))?.to_string();
    let work = work(watch.clone());
    let inside = scope
        .run(async {
            let inside = Instant::now();
            work.await;
            inside.elapsed().as_micros()
        })
        .await;
    let whole = Timed { stack: Vec::new(), at_least_us: inside, at_most_us: outside.elapsed().as_micros() };
    let mut timed = std::mem::take(&mut *watch.0.lock().unwrap_or_else(PoisonError::into_inner));
    timed.insert(0, whole);
    Ok(Done { trace_id, event_name: name, identifier: identifier.to_owned(), timed })
}
