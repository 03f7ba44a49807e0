//! What host threads tell the agent: a bounded queue, and few wakes.
//!
//! ```text
//! asleep ──ring: a wake──► 5 ms ──► drain ──► asleep
//!                                     └──a ring had come within 20 ms of the drain before──► looking
//! looking   a ring wakes nobody and waits for 20 ms at most; a hurry, or much that waits: a wake, 5 ms, drain
//! ```
//! Waking a thread takes its processor 20 to 50 µs, and the host thread a system call; what a busy service tells is told
//! without.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use self::queue::Queue;
use super::native::fork;

mod queue;

/// How long the agent waits after a wake before it drains: a burst costs one wake, and a trace that is
/// discarded by its host thread within this time costs the agent nothing.
pub(crate) const COALESCE: Duration = Duration::from_millis(5);
/// Between two looks of an agent that is told something all the time.
const LOOK: Duration = Duration::from_millis(20);

/// A bounded queue from any host thread to one actor.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    queue: Queue<T>,
    bell: Notify,
}

/// What whoever waits for rings knows of the last ones.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// `None` before the first ring.
    drained: Option<Instant>,
    looks: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { queue: Queue::new(capacity), bell: Notify::new() })
    }

    /// Queues `item` and rings; gives it back when the queue is full or closed. Never waits.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        if fork::is_forked_child() {
            // The agent's thread stayed in the parent, and the wake would reach the parent's.
            return Err(item);
        }
        if self.queue.push(item)? {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Has what is queued drained within [`COALESCE`].
    pub(crate) fn hurry(&self) {
        // As in `push`.
        if !fork::is_forked_child() && self.queue.rings().hurry() {
            self.bell.notify_one();
        }
    }

    /// Takes nothing from now on, and gives out what is queued.
    pub(crate) fn close(&self) -> Vec<T> {
        self.queue.close()
    }

    /// Whether nobody drains it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Waits until the queue is to be drained. For one at a time, with the same `pace`.
    pub(crate) async fn rung(&self, pace: &mut Pace) {
        if !(pace.looks && self.look(pace).await) {
            self.bell.notified().await;
            pace.looks = pace.drained.is_some_and(|drained| drained.elapsed() <= LOOK);
            if pace.looks {
                self.queue.rings().start_looking();
            }
            sleep(COALESCE).await;
        }
        pace.drained = Some(Instant::now());
    }

    /// Looks after [`LOOK`], or when it is woken; false, and whoever rings wakes again, when there was nothing.
    async fn look(&self, pace: &mut Pace) -> bool {
        loop {
            if timeout(LOOK, self.bell.notified()).await.is_ok() {
                sleep(COALESCE).await;
                return true;
            }
            if !self.queue.rings().is_rung() {
                break;
            }
            // One drain at a time: a Collector that has much to do gets no second request before it has met the first.
            if self.queue.rings().hurry() {
                return true;
            }
        }
        pace.looks = false;
        if self.queue.rings().stop_looking() {
            self.bell.notify_one();
        }
        false
    }

    /// Takes what is queued now: at most one queue's capacity, so that a busy producer cannot hold the drain.
    pub(crate) fn drain(&self) -> impl Iterator<Item = T> + '_ {
        self.queue.drain()
    }

    /// As whoever drains is told all the time.
    #[cfg(test)]
    pub(crate) fn start_looking(&self) {
        self.queue.rings().start_looking();
    }

    /// Whether it is woken without a look.
    #[cfg(test)]
    pub(crate) fn is_woken(&self) -> bool {
        !self.queue.rings().hurry()
    }

    /// Whether more has arrived than the last drain took.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::queue::MANY;
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
        assert_eq!(waited(&inbox, &mut Pace::default()).await, COALESCE);
    }

    /// For the next drain, which is made.
    async fn waited(inbox: &Inbox<u32>, pace: &mut Pace) -> Duration {
        let start = Instant::now();
        inbox.rung(pace).await;
        assert!(inbox.drain().count() > 0);
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn rings_that_come_seldom_are_heard_at_once() {
        let (inbox, mut pace) = (Inbox::new(8), Pace::default());
        for _ in 0..3 {
            inbox.push(1).unwrap();
            assert_eq!(waited(&inbox, &mut pace).await, COALESCE);
            sleep(2 * LOOK).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_all_the_time_looks_and_is_woken_in_a_hurry_only() {
        let (inbox, mut pace) = (Inbox::new(2 * MANY), Pace::default());
        for _ in 0..2 {
            inbox.push(1).unwrap();
            assert_eq!(waited(&inbox, &mut pace).await, COALESCE);
        }
        inbox.push(1).unwrap();
        assert_eq!(waited(&inbox, &mut pace).await, LOOK);
        inbox.push(1).unwrap();
        inbox.hurry();
        assert_eq!(waited(&inbox, &mut pace).await, COALESCE);
        (1..).take(MANY).for_each(|number| inbox.push(number).unwrap());
        assert_eq!(waited(&inbox, &mut pace).await, COALESCE, "much waits");
        // Quiet for longer than that: back to sleep, and woken by the next one.
        let waiting = inbox.rung(&mut pace);
        let mut waiting = std::pin::pin!(waiting);
        assert!(timeout(3 * LOOK, waiting.as_mut()).await.is_err());
        inbox.push(1).unwrap();
        let start = Instant::now();
        waiting.await;
        assert_eq!((start.elapsed(), inbox.drain().count()), (COALESCE, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_is_long_in_coming_is_asked_for_once() {
        let (inbox, mut pace) = (Inbox::new(8), Pace { drained: Some(Instant::now()), looks: true });
        inbox.start_looking();
        inbox.push(1).unwrap();
        inbox.rung(&mut pace).await;
        inbox.push(2).unwrap();
        inbox.hurry();
        assert!(timeout(100 * LOOK, inbox.rung(&mut pace)).await.is_err());
        assert_eq!(inbox.drain().count(), 2);
        inbox.push(3).unwrap();
        assert_eq!(waited(&inbox, &mut pace).await, LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_flush_has_drained_wakes_in_vain_and_nothing_is_lost_by_it() {
        let (inbox, mut pace) = (Inbox::new(8), Pace::default());
        inbox.push(1).unwrap();
        assert_eq!(inbox.drain().count(), 1);
        inbox.rung(&mut pace).await;
        assert_eq!(inbox.drain().count(), 0);
        inbox.push(2).unwrap();
        assert_eq!(waited(&inbox, &mut pace).await, COALESCE);
    }

    #[test]
    fn a_closed_inbox_gives_everything_back_and_keeps_nothing() {
        let inbox = Inbox::new(8);
        inbox.push(1).unwrap();
        assert_eq!(inbox.close(), [1]);
        assert_eq!(inbox.push(2), Err(2));
        assert!(inbox.is_empty());
    }

    /// At every pace, between all of them: threads that tell something after 0 to 30 ms, again and again.
    #[test]
    fn nothing_waits_for_ever_however_often_it_is_told() {
        const PRODUCERS: u64 = 4;
        const EACH: u64 = 40;
        let inbox = Inbox::new(1_024);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        std::thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                let inbox = &inbox;
                scope.spawn(move || {
                    for number in 0..EACH {
                        inbox.push(number).unwrap();
                        let pause = (number * number + 7 * producer) % 31;
                        std::thread::sleep(Duration::from_millis(if number % 8 < 4 { 0 } else { pause }));
                    }
                });
            }
            runtime.block_on(async {
                let (mut pace, mut read) = (Pace::default(), 0);
                while read < (PRODUCERS * EACH) as usize {
                    let rung = timeout(Duration::from_secs(120), inbox.rung(&mut pace)).await;
                    assert!(rung.is_ok(), "what waits was not told: {read} read");
                    read += inbox.drain().count();
                }
            });
        });
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
