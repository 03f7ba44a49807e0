//! At most one shipped trace of each identifier within a window of time.
//!
//! Admission asks whether the window is closed; a trace that ends above its threshold claims it; if that trace is
//! then evicted or rejected, its claim opens the window again. So only shipped traces close windows, and a fast trace
//! never hides a slow one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;

use super::identifier::IdentifierKey;
use crate::model::time::Nanos;

/// The closed windows of one agent, at most `max_dedupe_identifiers`. Clones share them.
///
/// A window is closed from the claim on and open again once it is `window` old. Times are of one clock, on any axis;
/// where a claim's time lies before that of the claim before it, it counts as that one's.
///
/// At the bound a claim first removes what has expired, then the oldest window: that identifier may then ship a second
/// trace within its window. Refusing the claim instead would let 10,000 identifiers of no interest (raw paths, say)
/// hide every other one until they expire.
///
/// ```text
///   closed:  key -> claim      read at admission: one lock of one shard, held for a look-up
///   order:   claims, oldest first      behind one mutex that all claims and releases hold; the same entries
/// ```
#[derive(Clone)]
pub(crate) struct DedupeTable(Arc<Shared>);

struct Shared {
    /// Nanoseconds; 0 is off.
    window: AtomicU64,
    max_identifiers: AtomicUsize,
    /// Written only while `order` is held, so both always have the same entries.
    closed: DashMap<IdentifierKey, Closed>,
    order: Mutex<Order>,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    since: Nanos,
    claim: u64,
}

#[derive(Default)]
struct Order {
    oldest_first: VecDeque<(IdentifierKey, Closed)>,
    last_claim: u64,
    evicted: u64,
}

/// The claim of one trace on its identifier's window. Dropping it leaves the window closed: the trace is shipped.
#[must_use = "a trace may ship only while it holds a claim"]
pub(crate) struct Claim {
    shared: Arc<Shared>,
    /// None when the table was off: there is nothing to open again.
    window: Option<(IdentifierKey, u64)>,
}

impl DedupeTable {
    /// A table of at most `max_identifiers` windows (at least 1). A `window` of zero turns it off: every claim then
    /// succeeds and closes nothing.
    pub(crate) fn new(window: Duration, max_identifiers: usize) -> Self {
        let table = Self(Arc::new(Shared {
            window: AtomicU64::new(0),
            max_identifiers: AtomicUsize::new(1),
            closed: DashMap::new(),
            order: Mutex::default(),
        }));
        table.set_window(window);
        table.set_max_identifiers(max_identifiers);
        table
    }

    /// Changes the window, also for claims that were made before. Zero turns the table off: all windows are open, and
    /// the next sweep forgets them.
    pub(crate) fn set_window(&self, window: Duration) {
        // Relaxed, here and below: a reader that still sees the old value decides as it would have a moment ago.
        self.0.window.store(Nanos::from(window).0, Ordering::Relaxed);
    }

    /// Changes the bound (at least 1). Windows above it go at the next claim or sweep, oldest first.
    pub(crate) fn set_max_identifiers(&self, max_identifiers: usize) {
        self.0.max_identifiers.store(max_identifiers.max(1), Ordering::Relaxed);
    }

    /// Whether a trace of `identifier` that begins now could not ship if it ended now.
    pub(crate) fn is_closed(&self, identifier: IdentifierKey, now: Nanos) -> bool {
        let window = self.0.window();
        window != Nanos::ZERO
            && self.0.closed.get(&identifier).is_some_and(|closed| !has_expired(closed.since, now, window))
    }

    /// Closes the window for one trace: of all claims on one open window exactly one succeeds. None: it is closed.
    pub(crate) fn claim(&self, identifier: IdentifierKey, now: Nanos) -> Option<Claim> {
        let shared = Arc::clone(&self.0);
        let window = shared.window();
        if window == Nanos::ZERO {
            return Some(Claim { shared, window: None });
        }
        let claim = shared.close(identifier, now, window)?;
        Some(Claim { shared, window: Some((identifier, claim)) })
    }

    /// Removes the windows that are open again at `now`, and those above the bound; says how many went.
    pub(crate) fn sweep(&self, now: Nanos) -> usize {
        let mut order = self.0.order();
        let before = order.oldest_first.len();
        self.0.remove_expired(&mut order, now, self.0.window());
        self.0.evict_down_to(&mut order, self.0.max_identifiers());
        before - order.oldest_first.len()
    }

    /// Windows remembered now, expired ones among them until they are swept.
    pub(crate) fn len(&self) -> usize {
        self.0.closed.len()
    }

    /// Windows that were opened before their time because the table was full, since the start.
    #[cfg(test)]
    pub(crate) fn evicted(&self) -> u64 {
        self.0.order().evicted
    }
}

impl Claim {
    /// Opens the window again, because the trace will not ship. Does nothing when the window meanwhile expired and was
    /// claimed by another trace, or was evicted.
    pub(crate) fn release(self) {
        if let Some((identifier, claim)) = self.window {
            self.shared.open(identifier, claim);
        }
    }
}

/// At exactly the window's length it is open again.
fn has_expired(since: Nanos, now: Nanos, window: Nanos) -> bool {
    now.saturating_sub(since) >= window
}

impl Shared {
    fn window(&self) -> Nanos {
        Nanos(self.window.load(Ordering::Relaxed))
    }

    fn max_identifiers(&self) -> usize {
        self.max_identifiers.load(Ordering::Relaxed)
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the number of the claim, or None when the window is closed already.
    fn close(&self, identifier: IdentifierKey, now: Nanos, window: Nanos) -> Option<u64> {
        let mut order = self.order();
        // Never before the last claim: `oldest_first` stays sorted by time, so what has expired is a prefix of it.
        let now = order.oldest_first.back().map_or(now, |(_, last)| now.max(last.since));
        self.remove_expired(&mut order, now, window);
        if self.closed.contains_key(&identifier) {
            return None;
        }
        self.evict_down_to(&mut order, self.max_identifiers() - 1);
        order.last_claim += 1;
        let closed = Closed { since: now, claim: order.last_claim };
        order.oldest_first.push_back((identifier, closed));
        self.closed.insert(identifier, closed);
        Some(closed.claim)
    }

    fn open(&self, identifier: IdentifierKey, claim: u64) {
        let mut order = self.order();
        // Claims are numbered in the order in which they stand.
        if let Ok(at) = order.oldest_first.binary_search_by_key(&claim, |(_, closed)| closed.claim) {
            order.oldest_first.remove(at);
            self.closed.remove(&identifier);
        }
    }

    fn remove_expired(&self, order: &mut Order, now: Nanos, window: Nanos) {
        while let Some(&(identifier, oldest)) = order.oldest_first.front()
            && has_expired(oldest.since, now, window)
        {
            order.oldest_first.pop_front();
            self.closed.remove(&identifier);
        }
    }

    fn evict_down_to(&self, order: &mut Order, max: usize) {
        while order.oldest_first.len() > max
            && let Some((identifier, _)) = order.oldest_first.pop_front()
        {
            self.closed.remove(&identifier);
            order.evicted += 1;
        }
    }
}

impl fmt::Debug for DedupeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupeTable").field("window", &self.0.window()).field("len", &self.len()).finish()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("window", &self.window).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may panic")]
mod tests;
