//! What becomes of a batch when its call has ended.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::time::Instant;

use super::ShipQueue;
use crate::actors::in_flight::Flight;
use crate::shipping::batch::{Batch, Item as _};
use crate::shipping::contained::Outcome;
use crate::shipping::ledger::{Fate, Happening};
use crate::shipping::outbox::Queued;
use crate::shipping::ship_error::Part;

impl<B: Batch> ShipQueue<B> {
    /// Counts what the outcome settles and plans the next try. What is to be tried again stays in the flight.
    pub(super) fn land(&self, mut flight: Flight<B>, outcome: &Outcome, now: Instant, clock: SystemTime) -> Flight<B> {
        let thinned = flight.items.iter().filter(|queued| queued.item.is_thinned_to_fit()).count();
        let (accepted, left) = self.settle_parts(&mut flight, outcome);
        if accepted > 0 {
            self.ledger.note(Happening::SentBytes, flight.batch.encoded_bytes());
            self.ledger.note(Happening::Batch, 1);
            self.ledger.note(Happening::Thinned, thinned as u64);
        }
        self.note_contact(outcome, clock);
        self.plan(outcome, accepted > 0, now);
        let lost = self.settle_rest(&mut flight, left, outcome, now);
        self.tell(outcome, lost, flight.items.len());
        flight
    }

    /// Settles the items that the destination has answered for; says how many it took, and gives the others.
    fn settle_parts(&self, flight: &mut Flight<B>, outcome: &Outcome) -> (usize, Vec<Queued<B::Item>>) {
        let all = [Part { items: flight.items.len(), is_accepted: true }];
        let parts = match outcome {
            Outcome::Accepted => &all,
            Outcome::Failed(error) => error.settled(),
            _ => &[],
        };
        let mut items = std::mem::take(&mut flight.items).into_iter();
        let mut accepted = 0;
        for part in parts {
            let settled: Vec<_> = items.by_ref().take(part.items).map(|queued| queued.item).collect();
            if part.is_accepted {
                accepted += settled.len();
                self.settle_all(Fate::Sent, &settled);
            } else {
                self.lose(Fate::Rejected, &settled);
            }
        }
        (accepted, items.collect())
    }

    pub(super) fn note_contact(&self, outcome: &Outcome, clock: SystemTime) {
        let has_answered = match outcome {
            Outcome::Accepted => true,
            Outcome::Failed(error) => error.is_rejected() || error.is_denied() || !error.is_retryable(),
            _ => false,
        };
        if has_answered {
            self.ledger.reached(clock);
        }
        match outcome {
            Outcome::Accepted => {}
            Outcome::Panicked => self.ledger.note(Happening::Panic, 1),
            Outcome::Abandoned => self.ledger.note(Happening::Abandoned, 1),
            _ => {}
        }
        if !matches!(outcome, Outcome::Accepted) {
            self.ledger.failed(outcome.to_string(), has_answered);
        }
    }

    /// Plans the next try. A batch of which a part was taken has made progress: its rest goes at once.
    pub(super) fn plan(&self, outcome: &Outcome, has_progress: bool, now: Instant) {
        let mut retrying = self.retrying();
        let super::Retrying { retry, dice } = &mut *retrying;
        match outcome.retry() {
            Some(failure) if has_progress && failure.delay.is_none() && !failure.is_denied => retry.succeeded(),
            Some(failure) => retry.failed(failure, now, dice),
            None => retry.succeeded(),
        }
    }

    /// Leaves in the flight what is to be tried again; says how many items are lost.
    fn settle_rest(
        &self,
        flight: &mut Flight<B>,
        left: Vec<Queued<B::Item>>,
        outcome: &Outcome,
        now: Instant,
    ) -> usize {
        let (mut again, mut over) = (Vec::new(), Vec::new());
        let can_retry = outcome.retry().is_some();
        for mut queued in left {
            queued.tries = queued.tries.saturating_add(1);
            let is_over = queued.first_try.is_some_and(|since| self.retrying().retry.is_over(since, now));
            if can_retry && !is_over { again.push(queued) } else { over.push(queued.item) }
        }
        let is_refused = !can_retry && matches!(outcome, Outcome::Failed(_));
        self.lose(if is_refused { Fate::Rejected } else { Fate::Failed }, &over);
        flight.items = again;
        over.len()
    }

    /// One line a minute in the host's log while something is wrong; a key that is not accepted is told once.
    pub(super) fn tell(&self, outcome: &Outcome, lost: usize, again: usize) {
        if matches!(outcome, Outcome::Accepted) {
            return self.was_denied.store(false, Ordering::Relaxed);
        }
        let items = B::NAME;
        if self.retrying().retry.is_denied() {
            if !self.was_denied.swap(true, Ordering::Relaxed) {
                tracing::warn!(target: "flame_on", "{items} are not shipped until `api_key` is one that the server \
                    knows, and may send {items}: {outcome}");
            }
            return;
        }
        if let Some(silenced) = self.log.admits(self.made.elapsed()) {
            tracing::warn!(target: "flame_on", silenced, "{lost} {items} are lost, {again} will be tried again: {outcome}");
        }
    }
}
