//! Everything that ships one kind of item, except the actor: what waits, what is in flight, what was tried, and the
//! account of it all. Outlives every instance of the Shipper.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rand::rngs::SmallRng;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use self::turns::Turns;
use super::in_flight::{Flight, InFlight};
use super::log::LogLimit;
use super::shipper::ShipperMsg;
use super::slot::Slot;
use crate::model::queue_stats::QueueStats;
use crate::safety::random;
use crate::shipping::adapter::{BoxedAdapter, ShipContext};
use crate::shipping::batch::{Batch, Item as _};
use crate::shipping::contained::Contained;
use crate::shipping::ledger::{Fate, Happening, Ledger};
use crate::shipping::outbox::{Eviction, Outbox, OutboxLimits, Queued};
use crate::shipping::retry::{Retry, RetryPolicy};
use crate::shipping::spool::Spool;
use crate::shipping::trace::Origin;

mod disk;
#[cfg(all(test, feature = "__server"))]
mod faults;
mod landing;
#[cfg(test)]
mod tests;
mod turns;

/// What the configuration says about a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueSettings {
    pub(crate) limits: OutboxLimits,
    /// How long an item waits at most for its first try.
    pub(crate) flush_interval: Duration,
    /// How long the adapter may take for a batch.
    pub(crate) send_timeout: Duration,
}

/// See the module.
pub(crate) struct ShipQueue<B: Batch> {
    pub(crate) outbox: Outbox<B::Item>,
    /// The live instance of this queue's Shipper.
    pub(crate) shipper: Slot<ShipperMsg>,
    /// Rung in place of the Shipper where host threads push: they never call an actor. Somebody has to listen.
    pub(crate) bell: Option<Arc<Notify>>,
    /// One batch in flight, also while the Shipper is restarted.
    pub(crate) in_flight: InFlight,
    ledger: Arc<Ledger>,
    adapter: Contained<B>,
    origin: Arc<Origin>,
    settings: Mutex<QueueSettings>,
    spool: Option<Arc<Spool>>,
    disk: Turns,
    retrying: Mutex<Retrying>,
    made: Instant,
    /// When the spool was last looked into for other processes' files.
    looked: Mutex<Instant>,
    log: LogLimit,
    /// Whether the host has been told that the key is not accepted.
    was_denied: AtomicBool,
}

struct Retrying {
    retry: Retry,
    dice: SmallRng,
}

/// What is to be done for a queue.
pub(crate) enum Step<B: Batch> {
    /// Nothing waits.
    Idle,
    /// Nothing that is due, or a batch is in flight.
    NotDue,
    /// Nothing before this time, because the last try failed.
    Wait(Instant),
    /// This is to be sent.
    Send(Flight<B>),
    /// This is to be written to disk, because the destination cannot be reached.
    Spool(Flight<B>),
    /// Something on disk is to be sent.
    SendSpooled(OwnedSemaphorePermit),
}

impl<B: Batch> ShipQueue<B> {
    /// A queue whose batches go to `adapter`.
    pub(crate) fn new(origin: Arc<Origin>, adapter: BoxedAdapter<B>, settings: QueueSettings) -> Self {
        Self::with(origin, Contained::new(adapter), settings, RetryPolicy::DEFAULT, random::seeded())
    }

    /// With a bell for what host threads push.
    pub(crate) fn with_bell(mut self) -> Self {
        self.bell = Some(Arc::default());
        self
    }

    /// As [`ShipQueue::new`], with the dice given.
    pub(crate) fn with(
        origin: Arc<Origin>,
        adapter: Contained<B>,
        settings: QueueSettings,
        policy: RetryPolicy,
        dice: SmallRng,
    ) -> Self {
        let ledger = Arc::<Ledger>::default();
        Self {
            outbox: outbox::<B>(settings.limits, ledger.clone()),
            shipper: Slot::default(),
            bell: None,
            in_flight: InFlight::new(),
            ledger,
            adapter,
            origin,
            settings: Mutex::new(settings),
            spool: None,
            disk: Turns::new(),
            retrying: Mutex::new(Retrying { retry: Retry::new(policy), dice }),
            made: Instant::now(),
            looked: Mutex::new(Instant::now()),
            log: LogLimit::new(),
            was_denied: AtomicBool::new(false),
        }
    }

    /// With a directory in which `max_bytes` may wait while the destination cannot be reached.
    pub(crate) fn spooling(mut self, dir: PathBuf, max_bytes: u64) -> Self {
        // No call takes longer, and neither do two.
        let lease = self.settings().send_timeout * 2 + Duration::from_secs(2);
        self.spool = Some(Arc::new(Spool::new(dir, max_bytes, B::NAME, lease)));
        self
    }

    /// Takes responsibility for a finished item. Called in the thread that finished it; never waits.
    pub(crate) fn push(&self, item: B::Item) {
        self.ledger.note(Happening::Produced, 1);
        self.outbox.push(item);
    }

    /// How the queue fares.
    pub(crate) fn stats(&self) -> QueueStats {
        let stats = self.ledger.read();
        QueueStats {
            waiting: stats.waiting + self.outbox.len() as u64,
            bytes: self.outbox.bytes() as u64,
            circuit_open: self.retrying().retry.is_open(),
            spool: self.spool.as_ref().map(|spool| spool.stats()).unwrap_or_default(),
            ..stats
        }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> QueueSettings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts new settings into force; the Shipper has to be told.
    pub(crate) fn configure(&self, settings: QueueSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        self.outbox.set_limits(settings.limits);
    }

    /// Whether an item waits, or is with the adapter.
    pub(crate) fn has_unshipped(&self) -> bool {
        // In this order: a flight gives its items back before its place.
        self.in_flight.is_taken() || !self.outbox.is_empty()
    }

    /// Somebody waits for all to be shipped.
    pub(crate) fn hurry(&self) {
        self.retrying().retry.hurry();
    }

    /// What is to be done now. `is_flushing`: a batch below the full size is due too.
    pub(crate) fn next_step(&self, is_flushing: bool, now: Instant) -> Step<B> {
        let Some(place) = self.in_flight.try_enter() else { return Step::NotDue };
        let is_due = self.outbox.has_full_batch() || is_flushing && !self.outbox.is_empty();
        let wait = self.retrying().retry.wait(now);
        match (is_due, wait) {
            (true, Some(_)) if self.can_spool(now) => self.depart(place, now, Step::Spool),
            (true, Some(until)) => Step::Wait(until),
            (true, None) => self.depart(place, now, Step::Send),
            (false, None) if self.has_spooled(now) => Step::SendSpooled(place),
            (false, Some(until)) if self.has_spooled(now) => Step::Wait(until),
            (false, _) if self.outbox.is_empty() => Step::Idle,
            (false, _) => Step::NotDue,
        }
    }

    fn depart(&self, place: OwnedSemaphorePermit, now: Instant, step: fn(Flight<B>) -> Step<B>) -> Step<B> {
        let items = self.outbox.take_batch();
        // Empty when the last items were evicted in between.
        if items.is_empty() { Step::Idle } else { step(self.take_off(items, place, now)) }
    }

    fn take_off(&self, items: Vec<Queued<B::Item>>, place: OwnedSemaphorePermit, now: Instant) -> Flight<B> {
        Flight::new(items, place, &self.outbox, &self.ledger, now)
    }

    /// Sends one batch and counts what became of it. To be run as a task of its own, so that it survives the actor.
    pub(crate) async fn send(&self, flight: Flight<B>) {
        let context = ShipContext::new(&self.origin, flight.attempt());
        if flight.attempt() > 1 {
            self.ledger.note(Happening::Retry, 1);
        }
        let sent = self.adapter.send(flight.batch.clone(), context, self.settings().send_timeout);
        let outcome = tokio::select! {
            biased;
            outcome = sent => outcome,
            // The flight's items go back to the outbox.
            () = self.in_flight.given_up() => return,
        };
        let left = self.land(flight, &outcome, Instant::now(), SystemTime::now());
        self.spool(left).await;
        self.shipper.cast(ShipperMsg::BatchDone);
    }

    /// Closes the adapter within `limit`.
    pub(crate) async fn close_adapter(&self, limit: Duration) {
        self.adapter.clone().close(limit).await;
    }

    /// Spools, or counts as lost, what this process will not ship any more. May block on the disk. Safe to call twice; nothing can wait here afterwards.
    pub(crate) fn settle(&self) {
        let left_over = self.outbox.close();
        let spooled = self.write_to_spool(&left_over);
        self.lose(Fate::LostAtShutdown, left_over.get(spooled..).unwrap_or_default());
    }

    /// Counts the fate of items; those that the host has dropped have theirs already.
    fn settle_all(&self, fate: Fate, items: &[B::Item]) {
        let dropped = items.iter().filter(|item| item.is_dropped_by_host()).count();
        self.ledger.settle(fate, (items.len() - dropped) as u64);
        self.ledger.settle(Fate::DroppedByHost, dropped as u64);
    }

    fn lose(&self, fate: Fate, items: &[B::Item]) {
        self.settle_all(fate, items);
        items.iter().for_each(B::Item::give_up);
    }

    fn retrying(&self) -> MutexGuard<'_, Retrying> {
        self.retrying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outbox<B: Batch>(limits: OutboxLimits, ledger: Arc<Ledger>) -> Outbox<B::Item> {
    Outbox::new(limits, move |item: B::Item, reason| {
        ledger.settle(
            match reason {
                Eviction::Full | Eviction::TooLarge => Fate::Evicted,
                Eviction::Closed => Fate::LostAtShutdown,
            },
            1,
        );
        item.give_up();
    })
}
