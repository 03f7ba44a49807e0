//! The account of one queue: what came in, and what became of each item.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::model::queue_stats::QueueStats;

/// What became of an item. Each has one fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    Rejected,
    Failed,
    Evicted,
    LostAtShutdown,
    Spooled,
    DroppedByHost,
}

/// What happens and ends no item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Produced,
    SentBytes,
    Batch,
    Retry,
    Thinned,
    Panic,
    Abandoned,
}

/// See the module. Outlives every actor.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fates: [AtomicU64; 7],
    happenings: [AtomicU64; 7],
    in_flight: AtomicU64,
    contact: Mutex<Contact>,
}

/// How the destination was when it was last tried.
#[derive(Debug, Clone, Default)]
struct Contact {
    last_error: Option<String>,
    reachable_since: Option<SystemTime>,
}

impl Ledger {
    /// Counts `n` items that ended like this.
    pub(crate) fn settle(&self, fate: Fate, n: u64) {
        add(&self.fates, fate as usize, n);
    }

    /// Counts what happened `n` times.
    pub(crate) fn note(&self, what: Happening, n: u64) {
        add(&self.happenings, what as usize, n);
    }

    /// Items that are with the adapter from now on.
    pub(crate) fn take_off(&self, items: u64) {
        self.in_flight.fetch_add(items, Ordering::Relaxed);
    }

    /// Items that are no more with the adapter.
    pub(crate) fn touch_down(&self, items: u64) {
        self.in_flight.fetch_sub(items, Ordering::Relaxed);
    }

    /// The destination has answered.
    pub(crate) fn reached(&self, now: SystemTime) {
        self.contact().reachable_since.get_or_insert(now);
    }

    /// A batch has failed.
    pub(crate) fn failed(&self, error: String, is_reachable: bool) {
        let mut contact = self.contact();
        contact.last_error = Some(error);
        if !is_reachable {
            contact.reachable_since = None;
        }
    }

    /// All of it, without what the outbox, the circuit and the spool know.
    pub(crate) fn read(&self) -> QueueStats {
        let fate = |fate: Fate| read(&self.fates, fate as usize);
        let happening = |what: Happening| read(&self.happenings, what as usize);
        let Contact { last_error, reachable_since } = self.contact().clone();
        QueueStats {
            produced: happening(Happening::Produced),
            waiting: self.in_flight.load(Ordering::Relaxed),
            sent: fate(Fate::Sent),
            sent_bytes: happening(Happening::SentBytes),
            batches: happening(Happening::Batch),
            retried: happening(Happening::Retry),
            rejected: fate(Fate::Rejected),
            failed: fate(Fate::Failed),
            evicted: fate(Fate::Evicted),
            lost_at_shutdown: fate(Fate::LostAtShutdown),
            spooled: fate(Fate::Spooled),
            dropped_by_host: fate(Fate::DroppedByHost),
            thinned: happening(Happening::Thinned),
            adapter_panics: happening(Happening::Panic),
            adapter_abandoned: happening(Happening::Abandoned),
            last_error,
            reachable_since,
            ..QueueStats::default()
        }
    }

    fn contact(&self) -> std::sync::MutexGuard<'_, Contact> {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Relaxed, here as above: a counter orders nothing.
fn add(counters: &[AtomicU64], index: usize, n: u64) {
    if let Some(counter) = counters.get(index) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

fn read(counters: &[AtomicU64], index: usize) -> u64 {
    counters.get(index).map_or(0, |counter| counter.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_and_happening_has_a_place_of_its_own() {
        let ledger = Ledger::default();
        let fates = [Fate::Sent, Fate::Rejected, Fate::Failed, Fate::Evicted, Fate::LostAtShutdown, Fate::Spooled];
        for (n, fate) in (1..).zip(fates) {
            ledger.settle(fate, n);
        }
        for (n, what) in (1..).zip([Happening::Produced, Happening::SentBytes, Happening::Batch, Happening::Retry]) {
            ledger.note(what, 10 * n);
        }
        for (n, what) in (5..).zip([Happening::Thinned, Happening::Panic, Happening::Abandoned]) {
            ledger.note(what, 10 * n);
        }
        let stats = ledger.read();
        assert_eq!((stats.sent, stats.rejected, stats.failed, stats.evicted), (1, 2, 3, 4));
        assert_eq!((stats.lost_at_shutdown, stats.spooled, stats.settled()), (5, 6, 21));
        assert_eq!((stats.produced, stats.sent_bytes, stats.batches, stats.retried), (10, 20, 30, 40));
        assert_eq!((stats.thinned, stats.adapter_panics, stats.adapter_abandoned), (50, 60, 70));
    }

    #[test]
    fn the_destination_is_reachable_since_its_first_answer_after_a_failure() {
        let (first, later) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9));
        let ledger = Ledger::default();
        ledger.reached(first);
        ledger.reached(later);
        assert_eq!(ledger.read().reachable_since, Some(first));
        ledger.failed("refused".into(), true);
        assert_eq!(ledger.read().reachable_since, Some(first), "an answer, if not the one wished for");
        ledger.failed("gone".into(), false);
        assert_eq!((ledger.read().reachable_since, ledger.read().last_error), (None, Some("gone".into())));
        ledger.reached(later);
        assert_eq!(ledger.read().reachable_since, Some(later));
    }
}
