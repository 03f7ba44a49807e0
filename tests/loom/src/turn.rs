//! What happens at once and orders nothing.

use loom::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something whose changes are seen by all threads in one order, as loom's own mutex, but other than that one it lets them
/// learn nothing else of each other: no mistake in an ordering is hidden by it.
#[derive(Debug)]
pub(crate) struct Turn<T> {
    turn: AtomicUsize,
    value: Mutex<T>,
}

impl<T> Turn<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { turn: AtomicUsize::new(0), value: Mutex::new(value) }
    }

    /// Others may come in between until this returns, and not until the guard is gone: nothing of loom's may be used
    /// meanwhile.
    pub(crate) fn take(&self) -> MutexGuard<'_, T> {
        self.turn.fetch_add(1, Ordering::Relaxed);
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
