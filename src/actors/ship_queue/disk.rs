//! Between a queue and its spool. Where there is none, nothing here does anything.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::ShipQueue;
use crate::actors::in_flight::Flight;
use crate::actors::log::warn_limited;
use crate::actors::shipper::ShipperMsg;
use crate::shipping::adapter::ShipContext;
use crate::shipping::batch::{Batch, Item as _};
use crate::shipping::contained::Outcome;
use crate::shipping::ledger::Fate;
use crate::shipping::outbox::Queued;
use crate::shipping::spool::{Claimed, Spool};

/// How long the disk may take. Past it the thread is left to itself, and what it was to write counts as lost: it may
/// still be written, and sent, when the disk answers.
const DISK_LIMIT: Duration = Duration::from_secs(10);
/// Other processes' leftovers are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

impl<B: Batch> ShipQueue<B> {
    /// Whether a batch can go to disk now.
    pub(super) fn can_spool(&self, now: Instant) -> bool {
        self.spool.is_some() && self.disk.is_ready(now)
    }

    /// Whether something on disk may wait to be sent.
    pub(super) fn has_spooled(&self, now: Instant) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.is_worth_a_look()) && self.disk.is_ready(now)
    }

    /// From time to time, another process may have left something on disk.
    pub(crate) fn look_for_spooled(&self, now: Instant) {
        let Some(spool) = &self.spool else { return };
        let mut looked = self.looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.saturating_duration_since(*looked) >= LOOK_EVERY {
            *looked = now;
            spool.look_again();
        }
    }

    /// Writes what is left of a flight to disk; without a spool, or when that fails, it goes back to the outbox.
    pub(super) async fn spool(&self, mut flight: Flight<B>) {
        let Some(spool) = self.spool.clone().filter(|_| !flight.items.is_empty()) else { return };
        let Some(turn) = self.disk.take_turn() else { return };
        let items = std::mem::take(&mut flight.items);
        let count = items.len() as u64;
        let writing = spawn_blocking(move || {
            let written = write(&spool, &items);
            drop(turn);
            (written, items)
        });
        let Ok(Ok((written, mut items))) = timeout(DISK_LIMIT, writing).await else {
            self.disk.rest(Instant::now());
            self.ledger.settle(Fate::Failed, count);
            return warn_limited!("the disk of spool_dir does not answer: {} are lost", B::NAME);
        };
        match written {
            Some(written) => {
                self.ledger.settle(Fate::Spooled, written as u64);
                let lost: Vec<_> = items.drain(written..).map(|queued| queued.item).collect();
                self.lose(Fate::Failed, &lost);
            }
            None => {
                self.disk.rest(Instant::now());
                flight.items = items;
            }
        }
    }

    /// Writes a batch to disk instead of sending it.
    pub(crate) async fn spool_instead(&self, flight: Flight<B>) {
        self.spool(flight).await;
        self.shipper.cast(ShipperMsg::BatchDone);
    }

    /// Sends the oldest file, and keeps what the destination did not answer for.
    pub(crate) async fn send_spooled(&self, place: OwnedSemaphorePermit) {
        if let Some(spool) = self.spool.clone() {
            self.send_claimed(spool).await;
        }
        drop(place);
        self.shipper.cast(ShipperMsg::BatchDone);
    }

    async fn send_claimed(&self, spool: Arc<Spool>) {
        let Some((items, claimed)) = self.at_the_disk(&spool, claim::<B>).await.flatten() else { return };
        let batch = B::new(items);
        let count = batch.items().len();
        let context = ShipContext::new(&self.origin, 1);
        let sent = self.adapter.send(batch, context, self.settings().send_timeout);
        let outcome = tokio::select! {
            biased;
            outcome = sent => outcome,
            () = self.in_flight.given_up() => Outcome::TimedOut,
        };
        self.note_contact(&outcome, SystemTime::now());
        let (sent, rejected) = answered(&outcome, count);
        self.plan(&outcome, sent > 0, Instant::now());
        self.tell(&outcome, rejected, claimed.items.len().saturating_sub(sent + rejected));
        // `None`: the claim's lease takes care of the rest.
        self.at_the_disk(&spool, move |spool| conclude(spool, &claimed, sent, rejected)).await.unwrap_or_default();
    }

    /// Runs `work` when it is its turn; `None` when it is not, when the disk does not answer, or when the runtime ends.
    async fn at_the_disk<R: Send + 'static>(
        &self,
        spool: &Arc<Spool>,
        work: impl FnOnce(&Spool) -> R + Send + 'static,
    ) -> Option<R> {
        let (turn, spool) = (self.disk.take_turn()?, spool.clone());
        let working = spawn_blocking(move || {
            let done = work(&spool);
            drop(turn);
            done
        });
        let done = timeout(DISK_LIMIT, working).await;
        if done.is_err() {
            self.disk.rest(Instant::now());
        }
        done.ok()?.ok()
    }

    /// Writes the items to disk in this thread; says how many, from the first, are there.
    pub(super) fn write_to_spool(&self, items: &[B::Item]) -> usize {
        let Some(spool) = self.spool.as_ref().filter(|_| !items.is_empty()) else { return 0 };
        // None: the disk does not answer, and nobody would wait for it.
        let Some(_turn) = self.disk.take_turn() else { return 0 };
        let bytes: Vec<_> = items.iter().map(B::Item::to_spool).collect();
        let written = spool.write(&bytes).unwrap_or_default();
        self.ledger.settle(Fate::Spooled, written as u64);
        written
    }
}

/// How many of the items were written; `None` when the disk refused them all.
fn write<I: crate::shipping::batch::Item>(spool: &Spool, items: &[Queued<I>]) -> Option<usize> {
    let bytes: Vec<_> = items.iter().map(|queued| queued.item.to_spool()).collect();
    spool.write(&bytes).inspect_err(|error| warn_limited!("spool_dir cannot be written to: {error}")).ok()
}

/// The oldest file, and its items. Those that this version cannot read are left out, and count as refused.
fn claim<B: Batch>(spool: &Spool) -> Option<(Vec<B::Item>, Claimed)> {
    let mut claimed = spool.claim()?;
    let all = claimed.items.len();
    let mut items = Vec::with_capacity(all);
    claimed.items.retain(|bytes| {
        let item = B::Item::from_spool(bytes);
        let is_readable = item.is_some();
        items.extend(item);
        is_readable
    });
    spool.refuse(all - items.len());
    if items.is_empty() {
        spool.finish(&claimed, 0, 0);
        return None;
    }
    Some((items, claimed))
}

/// How many items were accepted, and how many refused.
fn answered(outcome: &Outcome, count: usize) -> (usize, usize) {
    match outcome {
        Outcome::Accepted => (count, 0),
        Outcome::Failed(error) => {
            let of = |accepted: bool| error.settled().iter().filter(move |part| part.is_accepted == accepted);
            let (sent, refused) = (of(true).map(|part| part.items).sum(), of(false).map(|part| part.items).sum());
            let is_permanent = outcome.retry().is_none();
            (sent, if is_permanent { count - sent.min(count) } else { refused })
        }
        // What an adapter does to one batch it will do to it again.
        Outcome::Panicked | Outcome::Abandoned => (0, count),
        Outcome::TimedOut | Outcome::SwitchedOff => (0, 0),
    }
}

fn conclude(spool: &Spool, claimed: &Claimed, sent: usize, rejected: usize) {
    let all = claimed.items.len();
    match sent + rejected {
        0 => spool.release(claimed),
        answered if answered < all => spool.keep_rest(claimed, sent, rejected),
        _ => spool.finish(claimed, sent, rejected),
    }
}
