//! What wakers share, from one trace to the next.

use super::wakes::Wakes;
use crate::safety::atomic::{Arc, ArrayQueue};

/// Kept for reuse: as many traces as end within a few milliseconds; 1 KiB each.
const POOLED_WAKES: usize = 256;

/// See the module.
pub(crate) struct WakesPool(ArrayQueue<Arc<Wakes>>);

impl WakesPool {
    pub(crate) fn new() -> Self {
        Self(ArrayQueue::new(POOLED_WAKES))
    }

    /// What wakers of the trace `label` share.
    pub(crate) fn take(&self, label: u64) -> Arc<Wakes> {
        let mut pooled = self.0.pop();
        match pooled.as_mut().and_then(Arc::get_mut) {
            Some(wakes) => wakes.reuse(label),
            None => pooled = None,
        }
        pooled.unwrap_or_else(|| Arc::new(Wakes::new(label)))
    }

    /// Takes them back, unless a waker is left that outlives its trace.
    pub(crate) fn give_back(&self, mut wakes: Arc<Wakes>) {
        if Arc::get_mut(&mut wakes).is_some() {
            // A full pool hands it back, and it is freed here.
            drop(self.0.push(wakes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::wakes::SiteId;

    #[test]
    fn what_a_late_waker_still_holds_is_not_given_to_another_trace() {
        let pool = WakesPool::new();
        let (late, done) = (pool.take(1), pool.take(2));
        let waker = late.clone();
        done.hold(SiteId(3));
        let address = Arc::as_ptr(&done);
        pool.give_back(late);
        pool.give_back(done);
        let next = pool.take(3);
        assert_eq!((Arc::as_ptr(&next), next.label, waker.label), (address, 3, 1));
        assert_ne!(Arc::as_ptr(&pool.take(4)), Arc::as_ptr(&waker));
    }
}
