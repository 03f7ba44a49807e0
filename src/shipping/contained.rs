//! Calls an adapter so that nothing it does can reach the agent: not a panic, not a blocked thread.
//!
//! A call runs on the blocking pool of the agent's runtime, which polls the adapter's future there; `ticket` has its states.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::ticket::{AdapterHealth, Left, MAX_STUCK, Ticket};
use super::adapter::{BoxedAdapter, ShipContext, ShipperAdapter as _};
use super::retry::Failure;
use super::ship_error::ShipError;

#[cfg(test)]
mod tests;
mod ticket;

/// What a call may take past its deadline: by then its future has been dropped, so only destructors run.
const GRACE: Duration = Duration::from_secs(1);

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The destination has taken the batch.
    Accepted,
    /// The adapter said so.
    Failed(ShipError),
    /// The adapter panicked; the panic went no further.
    Panicked,
    /// The call was cancelled at its deadline, or never began for want of a thread.
    TimedOut,
    /// The call blocks its thread past its deadline.
    Abandoned,
    /// The adapter was not called, because [`MAX_STUCK`] earlier calls still block their threads.
    SwitchedOff,
}

impl Outcome {
    /// What the failure says about the next try; `None` when the batch is not worth one. Not after a panic or a
    /// blocked thread: what an adapter does to one batch it will do to the same batch again.
    pub(crate) fn retry(&self) -> Option<Failure> {
        match self {
            Self::Failed(error) if error.is_denied() => Some(Failure { delay: None, is_denied: true }),
            Self::Failed(error) => error.is_retryable().then(|| Failure { delay: error.delay(), is_denied: false }),
            Self::TimedOut => Some(Failure::default()),
            Self::Accepted | Self::Panicked | Self::Abandoned | Self::SwitchedOff => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Failed(error) => error.fmt(f),
            Self::Panicked => f.write_str("the adapter panicked"),
            Self::TimedOut => f.write_str("the adapter did not finish in time"),
            Self::Abandoned => f.write_str("the adapter blocks its thread past its deadline"),
            Self::SwitchedOff => write!(f, "the adapter is switched off: it blocks {MAX_STUCK} threads"),
        }
    }
}

/// An adapter together with the means to call it safely.
#[derive(Debug)]
pub(crate) struct Contained<B> {
    adapter: BoxedAdapter<B>,
    health: Arc<AdapterHealth>,
    place: Place,
}

/// Where calls run.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// On the blocking pool of the runtime around the call.
    BlockingPool,
    /// In the calling task, for tests: tokio's paused clock stands still while a blocking thread is busy.
    #[cfg(test)]
    Here,
}

// Not derived: a derive would ask for `B: Clone`.
impl<B> Clone for Contained<B> {
    fn clone(&self) -> Self {
        Self { adapter: self.adapter.clone(), health: self.health.clone(), place: self.place }
    }
}

impl<B: Send + Sync + 'static> Contained<B> {
    /// Contains `adapter`, whose calls will run on the blocking pool of the runtime they are made in.
    pub(crate) fn new(adapter: BoxedAdapter<B>) -> Self {
        Self { adapter, health: Arc::default(), place: Place::BlockingPool }
    }

    /// As [`Contained::new`], with calls that run in the calling task.
    #[cfg(test)]
    pub(crate) fn here(adapter: BoxedAdapter<B>) -> Self {
        Self { place: Place::Here, ..Self::new(adapter) }
    }

    /// How the adapter fares.
    #[cfg(test)]
    pub(crate) fn health(&self) -> &AdapterHealth {
        &self.health
    }

    /// Ships `batch` within `limit` from now. The context's `time_left` is set when the call begins.
    ///
    /// The future may be spawned, and may be dropped: the call then ends by itself.
    pub(crate) fn send(
        &self,
        batch: B,
        mut context: ShipContext,
        limit: Duration,
    ) -> impl Future<Output = Outcome> + Send + use<B> {
        let adapter = self.adapter.clone();
        self.call(limit, move |time_left| async move {
            context.time_left = time_left;
            adapter.ship(&batch, &context).await
        })
    }

    /// Closes the adapter within `limit` from now.
    pub(crate) fn close(self, limit: Duration) -> impl Future<Output = Outcome> + Send + use<B> {
        let adapter = self.adapter.clone();
        self.call(limit, move |_| async move {
            adapter.close().await;
            Ok(())
        })
    }

    fn call<C, F>(&self, limit: Duration, call: C) -> impl Future<Output = Outcome> + Send + use<B, C, F>
    where
        C: FnOnce(Duration) -> F + Send + 'static,
        F: Future<Output = Result<(), ShipError>> + Send,
    {
        let (health, _place) = (self.health.clone(), self.place);
        // Not in the future: it would begin at its first poll.
        let deadline = Instant::now() + limit;
        async move {
            if health.is_switched_off() {
                return Outcome::SwitchedOff;
            }
            #[cfg(test)]
            if matches!(_place, Place::Here) {
                return within(deadline, &Notify::new(), call).await;
            }
            // `Err`: outside of a runtime, where nothing of ours runs.
            let Ok(handle) = Handle::try_current() else { return Outcome::TimedOut };
            let sides = Arc::new(Call { ticket: Ticket::new(health), left: Notify::new() });
            let worker = handle.spawn_blocking({
                let (handle, sides) = (handle.clone(), sides.clone());
                move || sides.work(|| handle.block_on(within(deadline, &sides.left, call)))
            });
            Caller(sides).wait(worker, deadline + GRACE).await
        }
    }
}

/// Polls the call until its deadline, or until nobody waits for it. User code runs here, and here only.
async fn within<F>(deadline: Instant, left: &Notify, call: impl FnOnce(Duration) -> F) -> Outcome
where
    F: Future<Output = Result<(), ShipError>>,
{
    let time_left = deadline.saturating_duration_since(Instant::now());
    tokio::select! {
        // First, because a caller may leave as the runtime ends: the timer below panics after that.
        biased;
        () = left.notified() => Outcome::TimedOut,
        shipped = timeout_at(deadline, call(time_left)) => match shipped {
            Ok(Ok(())) => Outcome::Accepted,
            Ok(Err(error)) => Outcome::Failed(error.detach()),
            Err(_elapsed) => Outcome::TimedOut,
        },
    }
}

/// One call, seen from both of its sides.
#[derive(Debug)]
struct Call {
    ticket: Ticket,
    /// Notified when nobody waits for the call any more.
    left: Notify,
}

impl Call {
    /// The worker's side.
    fn work(&self, call: impl FnOnce() -> Outcome) -> Outcome {
        if !self.ticket.begin() {
            caught(|| drop(call));
            return Outcome::TimedOut;
        }
        let outcome = caught(call).unwrap_or(Outcome::Panicked);
        self.ticket.end();
        outcome
    }

    /// The caller's side, when it stops waiting.
    fn leave(&self) -> Left {
        let left = self.ticket.leave();
        if left == Left::WhileItRuns {
            self.left.notify_one();
        }
        left
    }
}

/// Leaves the call if it is dropped while waiting, so that a killed actor's stuck call counts as well.
struct Caller(Arc<Call>);

impl Caller {
    async fn wait(self, mut worker: JoinHandle<Outcome>, until: Instant) -> Outcome {
        if let Ok(joined) = timeout_at(until, &mut worker).await {
            // The only way not to be joined is the runtime's end, which cancels what has not begun.
            return joined.unwrap_or(Outcome::TimedOut);
        }
        match self.0.leave() {
            Left::BeforeItBegan => Outcome::TimedOut,
            Left::WhileItRuns => Outcome::Abandoned,
            Left::AfterItsEnd => worker.await.unwrap_or(Outcome::TimedOut),
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // Does nothing after an end, or when it has been left already.
        self.0.leave();
    }
}

/// Runs `work`; `None` if it panicked.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Unwind-safe: all that user code can leave half-done is its own adapter.
    let payload = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => return Some(value),
        Err(payload) => payload,
    };
    // A payload is any type, and its destructor may panic again, with a payload of which the same is true.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    None
}
