//! The one batch that is with the adapter: its place, its count, and what becomes of it when nobody waits any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::model::counters::{Count, Counters};
use crate::shipping::contained::Outcome;
use crate::shipping::trace::{Batch as _, Trace, TraceBatch};

/// Time for the sending task to let go of its batch: one turn of the agent's own runtime.
const LET_GO_LIMIT: Duration = Duration::from_secs(1);

/// See the module. Outlives every instance of the Shipper.
#[derive(Debug)]
pub(crate) struct InFlight {
    place: Arc<Semaphore>,
    given_up: watch::Sender<bool>,
    traces: Arc<AtomicU64>,
}

impl InFlight {
    /// `traces` is kept at the number of traces that are with the adapter.
    pub(crate) fn new(traces: Arc<AtomicU64>) -> Self {
        Self { place: Arc::new(Semaphore::new(1)), given_up: watch::Sender::new(false), traces }
    }

    /// The place for a batch, when none is in it.
    pub(crate) fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        self.place.clone().try_acquire_owned().ok()
    }

    /// Whether a batch is with the adapter.
    pub(crate) fn is_taken(&self) -> bool {
        self.place.available_permits() == 0
    }

    /// Ends when nobody waits for the adapter any more.
    pub(crate) async fn given_up(&self) {
        // `Err` cannot be: the sender is in `self`.
        self.given_up.subscribe().wait_for(|given_up| *given_up).await.ok();
    }

    /// Stops waiting for the adapter: the batch it has is counted as lost, and it gets no other. Safe to call twice.
    pub(crate) async fn give_up(&self) {
        self.given_up.send_replace(true);
        // `Err`: closed by an earlier call, or the sending task did not get its turn.
        timeout(LET_GO_LIMIT, self.place.acquire()).await.ok();
        self.place.close();
    }
}

/// A batch on its way. Dropped without an outcome, it is counted as lost at the shutdown.
pub(crate) struct Flight {
    pub(crate) batch: TraceBatch,
    counters: Arc<Counters>,
    in_flight: Arc<AtomicU64>,
    has_landed: bool,
    _place: OwnedSemaphorePermit,
}

impl Flight {
    pub(crate) fn new(
        traces: Vec<Trace>,
        place: OwnedSemaphorePermit,
        in_flight: &InFlight,
        counters: Arc<Counters>,
    ) -> Self {
        let batch = TraceBatch::new(traces);
        in_flight.traces.fetch_add(batch.items().len() as u64, Ordering::Relaxed);
        Self { batch, counters, in_flight: in_flight.traces.clone(), has_landed: false, _place: place }
    }

    /// Counts what became of the batch.
    pub(crate) fn land(mut self, outcome: &Outcome) {
        self.has_landed = true;
        let counters = &self.counters;
        match outcome {
            Outcome::Accepted => {
                counters.count(Count::Batches);
                counters.add(Count::ShippedBytes, self.batch.encoded_bytes());
                return counters.add(Count::Shipped, self.len());
            }
            Outcome::Failed(error) if !error.is_retryable() => self.lose(Count::Rejected),
            _ => self.lose(Count::SendFailed),
        }
        match outcome {
            Outcome::Panicked => counters.count(Count::AdapterPanics),
            Outcome::Abandoned => counters.count(Count::AdapterAbandoned),
            _ => {}
        }
    }

    fn lose(&self, reason: Count) {
        self.counters.add(reason, self.len());
        self.batch.items().iter().for_each(Trace::give_up);
    }

    fn len(&self) -> u64 {
        self.batch.items().len() as u64
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.has_landed {
            self.lose(Count::LostAtShutdown);
        }
        self.in_flight.fetch_sub(self.len(), Ordering::Relaxed);
    }
}
