//! What host threads tell the agent: a bounded queue, and at most one wake until it is drained.

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
    /// Set from the first ring until the next drain, so a burst rings once.
    rung: AtomicBool,
    /// Nobody drains it any more.
    closed: AtomicBool,
    bell: Notify,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: ArrayQueue::new(capacity.max(1)),
            rung: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            bell: Notify::new(),
        })
    }

    /// Queues `item` and rings; gives it back when the queue is full or closed. Never waits.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        if fork::is_forked_child() || self.closed.load(Ordering::Relaxed) {
            // In a forked child: the agent's thread stayed in the parent, and the wake would reach the parent's.
            return Err(item);
        }
        self.queue.push(item)?;
        self.ring();
        if self.closed.load(Ordering::SeqCst) {
            // Closed in between, after its last drain perhaps.
            while self.queue.pop().is_some() {}
        }
        Ok(())
    }

    /// Has the queue drained. Not for a forked child.
    pub(crate) fn ring(&self) {
        // As in `drain`: of two swaps one is first. Either this one finds the flag cleared and rings, or the
        // drain's reads what this one wrote, and its pops see the item.
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Takes nothing from now on, and gives out what is queued.
    pub(crate) fn close(&self) -> Vec<T> {
        // SeqCst, with the swaps of `rung`: a push that this drain does not see sees the flag.
        self.closed.store(true, Ordering::SeqCst);
        self.drain().collect()
    }

    /// Whether nobody drains it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits for a ring, then [`COALESCE`].
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
        tokio::time::sleep(COALESCE).await;
    }

    /// Takes what is queued now: at most one queue's capacity, so that a busy producer cannot hold the drain.
    pub(crate) fn drain(&self) -> impl Iterator<Item = T> + '_ {
        self.rung.swap(false, Ordering::SeqCst);
        std::iter::from_fn(|| self.queue.pop()).take(self.queue.capacity())
    }

    /// Whether more has arrived than the last drain took.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
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

    #[tokio::test(start_paused = true)]
    async fn a_ring_waits_for_the_burst() {
        let inbox = Inbox::new(8);
        inbox.push(1).unwrap();
        let start = tokio::time::Instant::now();
        inbox.rung().await;
        assert_eq!(start.elapsed(), COALESCE);
    }

    #[test]
    fn a_closed_inbox_gives_everything_back_and_keeps_nothing() {
        let inbox = Inbox::new(8);
        inbox.push(1).unwrap();
        assert_eq!(inbox.close(), [1]);
        assert_eq!(inbox.push(2), Err(2));
        assert!(inbox.is_empty());
    }

    /// Waits for rings alone: a lost one would be waited for in vain.
    #[test]
    fn no_ring_is_lost_among_many_producers_and_one_drain() {
        const PRODUCERS: usize = 4;
        const EACH: usize = 20_000;
        let inbox = Inbox::new(64);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let produce = &|producer: usize| {
            for number in 0..EACH {
                let mut item = (producer, number);
                // Full: the drain has been rung, and will make room.
                while let Err(back) = inbox.push(item) {
                    item = back;
                    std::thread::yield_now();
                }
            }
        };
        std::thread::scope(|scope| {
            (0..PRODUCERS).for_each(|producer| drop(scope.spawn(move || produce(producer))));
            runtime.block_on(async {
                let mut next = [0; PRODUCERS];
                while next != [EACH; PRODUCERS] {
                    let rung = tokio::time::timeout(Duration::from_secs(120), inbox.bell.notified()).await;
                    assert!(rung.is_ok(), "what waits was not rung for: {next:?}");
                    for (producer, number) in inbox.drain() {
                        assert_eq!(number, next[producer], "each once, in its producer's order");
                        next[producer] += 1;
                    }
                    if !inbox.is_empty() {
                        inbox.bell.notify_one();
                    }
                }
            });
        });
        assert!(inbox.is_empty());
    }
}
