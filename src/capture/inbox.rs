//! What host threads tell the agent: a bounded queue, and one wake until it is drained.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::native::fork;

/// How long the agent waits after a ring before it drains: a burst costs one wake, and a trace that is
/// discarded by its host thread within this time costs the agent nothing.
pub(crate) const COALESCE: Duration = Duration::from_millis(5);

/// A bounded queue from any host thread to one actor.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    queue: ArrayQueue<T>,
    /// Set from the first push until the next drain, so a burst rings once.
    rung: AtomicBool,
    /// Nobody drains any more.
    closed: AtomicBool,
    bell: Notify,
    /// Rings that must not wait for [`COALESCE`].
    urgent: Notify,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: ArrayQueue::new(capacity.max(1)),
            rung: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            bell: Notify::new(),
            urgent: Notify::new(),
        })
    }

    /// Queues `item`; gives it back when the queue is full. Never waits.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        if fork::is_forked_child() {
            // The agent's thread stayed in the parent, and the wake would reach the parent's.
            return Err(item);
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(item);
        }
        self.queue.push(item)?;
        // Between the look and the push it may have been closed, and what is queued may own this inbox.
        if self.closed.load(Ordering::SeqCst) {
            while self.queue.pop().is_some() {}
            return Ok(());
        }
        // SeqCst, as in `open`: either this push sees the flag that `open` cleared and rings, or the drain
        // that follows `open` sees this item.
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Waits for a ring, then [`COALESCE`] unless somebody hurries.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
        // An `Err` is the time-out, which is the ordinary case.
        tokio::time::timeout(COALESCE, self.urgent.notified()).await.ok();
    }

    /// Rings at once.
    pub(crate) fn hurry(&self) {
        self.urgent.notify_one();
        self.bell.notify_one();
    }

    /// Takes what is queued now: at most one queue's capacity, so that a busy producer cannot hold the drain.
    pub(crate) fn drain(&self) -> impl Iterator<Item = T> + '_ {
        self.rung.store(false, Ordering::SeqCst);
        std::iter::from_fn(|| self.queue.pop()).take(self.queue.capacity())
    }

    /// Refuses what comes from now on, and gives what is queued.
    pub(crate) fn close(&self) -> impl Iterator<Item = T> + '_ {
        self.closed.store(true, Ordering::SeqCst);
        self.drain()
    }

    /// Whether more has arrived than the last drain took.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_gives_the_item_back() {
        let inbox = Inbox::new(1);
        assert_eq!(inbox.push(1), Ok(()));
        assert_eq!(inbox.push(2), Err(2));
        assert_eq!(inbox.drain().collect::<Vec<_>>(), [1]);
        assert_eq!(inbox.push(3), Ok(()));
    }

    #[test]
    fn a_closed_inbox_gives_what_it_has_and_takes_nothing() {
        let inbox = Inbox::new(2);
        assert_eq!(inbox.push(1), Ok(()));
        assert_eq!(inbox.close().collect::<Vec<_>>(), [1]);
        assert_eq!(inbox.push(2), Err(2));
        assert!(inbox.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ring_waits_for_the_burst_and_a_hurry_does_not() {
        let inbox = Inbox::new(8);
        inbox.push(1).unwrap();
        let start = tokio::time::Instant::now();
        inbox.rung().await;
        assert_eq!(start.elapsed(), COALESCE);
        inbox.hurry();
        inbox.rung().await;
        assert_eq!(start.elapsed(), COALESCE);
    }
}
