//! How many traces may be active at once, in all and of one identifier.

use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::identifier::IdentifierKey;
use crate::model::frame_hash::IdHasher;

/// One identifier may hold at most this fraction of the permits, so that a slow endpoint leaves room for the others.
const IDENTIFIER_FRACTION: usize = 8;

/// The permits of one agent: at most `max_active_traces`, and at most an eighth of them (at least one) for each
/// identifier. Clones share them.
///
/// No actor's memory decides the count: it goes down when the [`Permit`] is dropped, wherever that happens.
#[derive(Clone)]
pub(crate) struct ActivePermits(Arc<Shared>);

struct Shared {
    limit: AtomicUsize,
    active: AtomicUsize,
    /// Permits held by each identifier. An entry goes when its last permit does, so there are never more entries than
    /// permits, and [`IdentifierKey`] keeps each at a fixed size. A key is a keyed hash already, so the map's own hash
    /// need not be one.
    by_identifier: DashMap<IdentifierKey, usize, BuildHasherDefault<IdHasher>>,
}

/// Why a trace may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// `max_active_traces` are active.
    Total,
    /// The identifier holds its eighth of the permits.
    Identifier,
}

/// The right to one active trace. Dropping it gives the right back, once.
#[must_use = "dropping the permit gives it back at once"]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    identifier: Option<IdentifierKey>,
}

impl ActivePermits {
    /// Permits for `limit` traces; with 0 every request is refused.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit: AtomicUsize::new(limit),
            active: AtomicUsize::new(0),
            by_identifier: DashMap::default(),
        }))
    }

    /// Takes a permit. `None` stands for work without an identifier of its own: only the total applies to it.
    ///
    /// # Errors
    /// Says which of the two limits is used up; nothing is held then.
    pub(crate) fn try_acquire(&self, identifier: Option<IdentifierKey>) -> Result<Permit, Refused> {
        let limit = self.limit();
        let below_limit = |active: usize| (active < limit).then_some(active + 1);
        self.0.active.fetch_update(Ordering::AcqRel, Ordering::Relaxed, below_limit).map_err(|_| Refused::Total)?;
        // From here on a drop of `permit` gives the total back; the identifier is entered only when its share is held.
        let mut permit = Permit { shared: Arc::clone(&self.0), identifier: None };
        if let Some(key) = identifier {
            self.0.take_share(key, identifier_limit(limit))?;
            permit.identifier = Some(key);
        }
        Ok(permit)
    }

    /// Permits held now. A limit that was lowered below it takes nothing back.
    pub(crate) fn active(&self) -> usize {
        self.0.active.load(Ordering::Acquire)
    }

    /// Whether half of them are held.
    pub(crate) fn are_scarce(&self) -> bool {
        self.active().saturating_mul(2) >= self.limit()
    }

    /// The limit in force.
    pub(crate) fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit for permits asked for from now on.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }
}

fn identifier_limit(limit: usize) -> usize {
    (limit / IDENTIFIER_FRACTION).max(1)
}

impl Shared {
    fn take_share(&self, key: IdentifierKey, share: usize) -> Result<(), Refused> {
        match self.by_identifier.entry(key) {
            Entry::Occupied(held) if *held.get() >= share => return Err(Refused::Identifier),
            Entry::Occupied(mut held) => *held.get_mut() += 1,
            Entry::Vacant(none) => drop(none.insert(1)),
        }
        Ok(())
    }

    fn give_share_back(&self, key: IdentifierKey) {
        if let Entry::Occupied(mut held) = self.by_identifier.entry(key) {
            if *held.get() > 1 {
                *held.get_mut() -= 1;
            } else {
                held.remove();
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The share first: whoever sees the total at zero finds no entry left either.
        if let Some(key) = self.identifier {
            self.shared.give_share_back(key);
        }
        self.shared.active.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

impl fmt::Debug for ActivePermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivePermits").field("active", &self.active()).field("limit", &self.limit()).finish()
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]
mod tests;
