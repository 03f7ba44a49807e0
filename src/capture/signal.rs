//! One signal at a time from a trace's recorder to whoever reads it.

use crate::safety::atomic::{AtomicBool, Ordering};

/// Set while a signal waits.
#[derive(Debug)]
pub(crate) struct Signal(AtomicBool);

impl Signal {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// There is something to read. `send` is called where no signal waits; false from it: it is lost.
    pub(crate) fn give(&self, send: impl FnOnce() -> bool) {
        if !self.0.swap(true, Ordering::AcqRel) && !send() {
            self.0.store(false, Ordering::Release);
        }
    }

    /// What there is will be read after this: a later [`give`](Self::give) sends again.
    pub(crate) fn acknowledge(&self) {
        // A swap and not a store: it reads the value of the latest `give` and so sees all that came before it.
        // After a store, reading could begin before others see the flag cleared, and their signal would be lost.
        self.0.swap(false, Ordering::AcqRel);
    }
}
