//! The one batch that is with the adapter: its place, its count, and what becomes of it when nobody waits any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::shipping::batch::Batch;
use crate::shipping::ledger::Ledger;
use crate::shipping::outbox::{Outbox, Queued};

/// Time for the sending task to let go of its batch: one turn of the agent's own runtime.
const LET_GO_LIMIT: Duration = Duration::from_secs(1);

/// See the module. Outlives every instance of the Shipper.
#[derive(Debug)]
pub(crate) struct InFlight {
    place: Arc<Semaphore>,
    given_up: watch::Sender<bool>,
}

impl InFlight {
    pub(crate) fn new() -> Self {
        Self { place: Arc::new(Semaphore::new(1)), given_up: watch::Sender::new(false) }
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

    /// Stops waiting for the adapter: the batch it has goes back to the outbox, and it gets no other. Safe to call
    /// twice.
    pub(crate) async fn give_up(&self) {
        self.given_up.send_replace(true);
        // `Err`: closed by an earlier call, or the sending task did not get its turn.
        timeout(LET_GO_LIMIT, self.place.acquire()).await.ok();
        self.place.close();
    }
}

/// A batch on its way. What is still in it when it is dropped goes back to the outbox, as the oldest.
pub(crate) struct Flight<B: Batch> {
    pub(crate) batch: B,
    /// The items of the batch, with what was tried for each.
    pub(crate) items: Vec<Queued<B::Item>>,
    count: u64,
    outbox: Outbox<B::Item>,
    ledger: Arc<Ledger>,
    _place: OwnedSemaphorePermit,
}

impl<B: Batch> Flight<B> {
    pub(crate) fn new(
        mut items: Vec<Queued<B::Item>>,
        place: OwnedSemaphorePermit,
        outbox: &Outbox<B::Item>,
        ledger: &Arc<Ledger>,
        now: Instant,
    ) -> Self {
        for queued in &mut items {
            queued.first_try.get_or_insert(now);
        }
        let batch = B::new(items.iter().map(|queued| queued.item.clone()).collect());
        let count = items.len() as u64;
        ledger.take_off(count);
        Self { batch, items, count, outbox: outbox.clone(), ledger: ledger.clone(), _place: place }
    }

    /// Which try of its oldest item this is, from 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.items.iter().map(|queued| queued.tries).max().unwrap_or_default().saturating_add(1)
    }
}

impl<B: Batch> Drop for Flight<B> {
    fn drop(&mut self) {
        self.outbox.put_back(std::mem::take(&mut self.items));
        // After it, so that nobody sees the items nowhere.
        self.ledger.touch_down(self.count);
    }
}
