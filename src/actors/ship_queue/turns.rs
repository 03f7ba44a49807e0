//! Whose turn it is at the disk, and when it is worth another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A disk that has failed, or does not answer, is left alone for this long.
const REST: Duration = Duration::from_secs(60);

/// One at a time: a disk that does not answer holds one thread, and what that was to write, and never more.
#[derive(Debug)]
pub(super) struct Turns {
    turn: Arc<Semaphore>,
    rests_until: Mutex<Option<Instant>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), rests_until: Mutex::new(None) }
    }

    /// The turn, to be held for as long as the disk is used; `None` while another holds it.
    pub(super) fn take_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turn.clone().try_acquire_owned().ok()
    }

    /// Whether the turn can be had, and is worth it.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.turn.available_permits() > 0 && self.rests_until().is_none_or(|until| until <= now)
    }

    /// The disk has failed now.
    pub(super) fn rest(&self, now: Instant) {
        *self.rests_until() = Some(now + REST);
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
