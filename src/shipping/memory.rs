//! Keeps what is shipped, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{ShipContext, ShipperAdapter};
use super::batch::Batch;
use super::errors::ErrorBatch;
use super::ship_error::ShipError;
use crate::model::error_event::ErrorEvent;

/// Accepts every batch and keeps its items. Clones share them.
#[derive(Debug)]
pub(crate) struct MemoryAdapter<T>(Arc<Mutex<Vec<T>>>);

impl<T> MemoryAdapter<T> {
    /// Takes what has been shipped since the last call, in the order of shipping.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// Not derived: a derive would ask for `T: Clone` and `T: Default`.
impl<T> Clone for MemoryAdapter<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for MemoryAdapter<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<B: Batch> ShipperAdapter<B> for MemoryAdapter<B::Item> {
    async fn ship(&self, batch: &B, _context: &ShipContext) -> Result<(), ShipError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch.items());
        Ok(())
    }
}

impl ShipperAdapter<ErrorBatch> for MemoryAdapter<ErrorEvent> {
    async fn ship(&self, batch: &ErrorBatch, _context: &ShipContext) -> Result<(), ShipError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch.events());
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::shipping::trace::{Trace, tests::batch};

    #[tokio::test]
    async fn what_was_shipped_is_taken_once() {
        let memory = MemoryAdapter::<Trace>::default();
        memory.clone().ship(&batch(3), &ShipContext::default()).await.unwrap();
        assert_eq!(memory.take().len(), 3);
        assert!(memory.take().is_empty());
    }
}
