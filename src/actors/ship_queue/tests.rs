//! The queue and its actor under tokio's paused clock, with an adapter that does what a script says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use ractor::ActorRef;

use rand::SeedableRng as _;

use super::*;
use crate::actors::rig::{parent, queue_settings};
use crate::actors::shipper::Shipper;
use crate::shipping::adapter::ShipperAdapter;
use crate::shipping::outbox::Weighted as _;
use crate::shipping::ship_error::{Part, ShipError};
use crate::shipping::trace::tests::trace;
use crate::shipping::trace::{Trace, TraceBatch};

mod disk;
mod log;

type Script = Box<dyn Fn(u32) -> Result<(), ShipError> + Send + Sync>;

/// Answers the n-th call by the script; notes when each came, with which traces, as which attempt.
#[derive(Clone)]
struct Scripted(Arc<ScriptedInner>);

struct ScriptedInner {
    script: Script,
    calls: Mutex<Vec<(Duration, Vec<Trace>, u32)>>,
    started: Instant,
}

impl ShipperAdapter<TraceBatch> for Scripted {
    async fn ship(&self, batch: &TraceBatch, context: &ShipContext) -> Result<(), ShipError> {
        let number = {
            let mut calls = self.0.calls.lock().unwrap();
            calls.push((self.0.started.elapsed(), batch.traces().to_vec(), context.attempt));
            calls.len() as u32
        };
        (self.0.script)(number)
    }
}

struct Rig {
    queue: Arc<ShipQueue<TraceBatch>>,
    adapter: Scripted,
    actor: ActorRef<ShipperMsg>,
    next: u128,
}

impl Rig {
    async fn new(
        change: impl FnOnce(&mut QueueSettings),
        script: impl Fn(u32) -> Result<(), ShipError> + Send + Sync + 'static,
    ) -> Self {
        Self::spooling(None, change, script).await
    }

    async fn spooling(
        spool: Option<&std::path::Path>,
        change: impl FnOnce(&mut QueueSettings),
        script: impl Fn(u32) -> Result<(), ShipError> + Send + Sync + 'static,
    ) -> Self {
        let inner = ScriptedInner { script: Box::new(script), calls: Mutex::default(), started: Instant::now() };
        let adapter = Scripted(Arc::new(inner));
        let mut settings = queue_settings();
        change(&mut settings);
        let name: Arc<str> = "test".into();
        let origin = Arc::new(Origin { service: name.clone(), environment: name.clone(), release: name });
        let contained = Contained::here(BoxedAdapter::new(adapter.clone()));
        let dice = SmallRng::seed_from_u64(7);
        let queue = ShipQueue::with(origin, contained, settings, RetryPolicy::DEFAULT, dice);
        let queue = Arc::new(match spool {
            Some(dir) => queue.spooling(dir.to_owned(), 1 << 20),
            None => queue,
        });
        let actor = Shipper::start_link(queue.clone(), parent().await).await.unwrap();
        queue.shipper.set(Some(actor.clone()));
        Self { queue, adapter, actor, next: 0 }
    }

    fn push(&mut self, count: u128) {
        (0..count).for_each(|_| {
            self.next += 1;
            self.queue.push(trace(self.next));
        });
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn ship_all(&self, limit: Duration) {
        self.queue.shipper.call(|reply| ShipperMsg::ShipAll(limit, reply), limit * 2).await;
    }

    /// When each call came.
    fn times(&self) -> Vec<Duration> {
        self.adapter.0.calls.lock().unwrap().iter().map(|call| call.0).collect()
    }

    fn attempts(&self) -> Vec<u32> {
        self.adapter.0.calls.lock().unwrap().iter().map(|call| call.2).collect()
    }

    /// How many traces each call had.
    fn sizes(&self) -> Vec<usize> {
        self.adapter.0.calls.lock().unwrap().iter().map(|call| call.1.len()).collect()
    }

    #[track_caller]
    fn stats(&self) -> QueueStats {
        let stats = self.queue.stats();
        assert_eq!(stats.produced, stats.settled() + stats.waiting, "the ledger does not close: {stats:#?}");
        stats
    }
}

fn down() -> ShipError {
    ShipError::retryable("down")
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_tried_again_and_arrives_as_it_was() {
    let mut rig = Rig::new(|_| (), |call| if call <= 2 { Err(down()) } else { Ok(()) }).await;
    rig.push(3);
    rig.pass(MINUTE).await;
    assert_eq!((rig.sizes(), rig.attempts()), (vec![3, 3, 3], vec![1, 2, 3]));
    let stats = rig.stats();
    assert_eq!((stats.sent, stats.retried, stats.waiting, stats.lost()), (3, 2, 0, 0));
    assert_eq!(stats.last_error.as_deref(), Some("down"));
    assert!(stats.reachable_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_is_tried_about_once_a_minute_and_items_are_given_up_after_a_quarter_of_an_hour() {
    let mut rig = Rig::new(|_| (), |_| Err(down())).await;
    rig.push(2);
    rig.pass(MINUTE * 30).await;
    let (calls, stats) = (rig.times(), rig.stats());
    assert!((15..=45).contains(&calls.len()), "{calls:?}");
    assert_eq!((stats.failed, stats.waiting, stats.reachable_since), (2, 0, None));
    let last = calls.last().unwrap();
    assert!(*last >= RetryPolicy::DEFAULT.keep_trying && *last <= RetryPolicy::DEFAULT.keep_trying + 2 * MINUTE);
    // Nothing waits, so nothing is tried.
    rig.pass(MINUTE * 60).await;
    assert_eq!(rig.times().len(), calls.len());
}

#[tokio::test(start_paused = true)]
async fn what_is_produced_meanwhile_waits_within_the_bounds_and_the_oldest_goes_first() {
    let five = NonZeroUsize::new(5).unwrap();
    let change = |settings: &mut QueueSettings| settings.limits.items = five;
    let recovers = Instant::now() + Duration::from_secs(20);
    let script = move |_| if Instant::now() < recovers { Err(down()) } else { Ok(()) };
    let mut rig = Rig::new(change, script).await;
    rig.push(4);
    rig.pass(Duration::from_secs(6)).await;
    rig.push(4);
    rig.pass(MINUTE * 2).await;
    let stats = rig.stats();
    assert_eq!((stats.evicted, stats.sent), (3, 5));
    let last = rig.adapter.0.calls.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(last.iter().map(Trace::id).collect::<Vec<_>>(), (4..=8).map(|n| trace(n).id()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_destinations_delay_is_honoured_by_timers_and_by_a_flush() {
    let delay = Duration::from_secs(100);
    let mut rig = Rig::new(|_| (), move |call| if call == 1 { Err(down().retry_after(delay)) } else { Ok(()) }).await;
    rig.push(1);
    rig.pass(Duration::from_secs(6)).await;
    let before = Instant::now();
    rig.ship_all(Duration::from_secs(10)).await;
    assert!(before.elapsed() < Duration::from_secs(1), "it cannot come in time, so nobody waits");
    assert_eq!(rig.times().len(), 1);
    rig.pass(MINUTE * 2).await;
    let times = rig.times();
    assert!(times[1] - times[0] >= delay && times[1] - times[0] < delay + Duration::from_secs(1), "{times:?}");
    assert_eq!(rig.stats().sent, 1);
}

#[tokio::test(start_paused = true)]
async fn a_flush_tries_at_once_whatever_the_pause() {
    let mut rig = Rig::new(|_| (), |call| if call <= 8 { Err(down()) } else { Ok(()) }).await;
    rig.push(1);
    while rig.times().len() < 8 {
        rig.pass(Duration::from_secs(1)).await;
    }
    assert!(rig.stats().circuit_open);
    rig.ship_all(Duration::from_secs(5)).await;
    assert_eq!((rig.stats().sent, rig.stats().circuit_open), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_not_tried_again_and_gives_its_windows_back() {
    let mut rig = Rig::new(|_| (), |_| Err(ShipError::rejected("quota"))).await;
    rig.push(2);
    rig.pass(MINUTE).await;
    let stats = rig.stats();
    assert_eq!((rig.times().len(), stats.rejected), (1, 2));
    assert!(stats.last_error.unwrap().contains("quota") && stats.reachable_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_keeps_the_batch_and_waits_for_five_minutes() {
    let mut rig = Rig::new(|_| (), |call| if call == 1 { Err(ShipError::denied("no")) } else { Ok(()) }).await;
    rig.push(2);
    rig.pass(MINUTE * 4).await;
    assert_eq!((rig.times().len(), rig.stats().waiting), (1, 2));
    rig.pass(MINUTE * 2).await;
    assert_eq!((rig.times().len(), rig.stats().sent), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_that_was_taken_in_part_only_the_rest_is_tried_again() {
    let parts = |items, is_accepted| Part { items, is_accepted };
    let script = move |call| {
        if call > 1 { Ok(()) } else { Err(down().after(vec![parts(2, true), parts(1, false)])) }
    };
    let mut rig = Rig::new(|_| (), script).await;
    rig.push(6);
    rig.pass(MINUTE).await;
    let stats = rig.stats();
    assert_eq!((rig.sizes(), stats.sent, stats.rejected), (vec![6, 3], 5, 1));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_start_waits_for_the_interval_and_what_was_there_before_does_not() {
    let mut rig = Rig::new(|_| (), |_| Ok(())).await;
    // The actor has not been run yet.
    rig.push(1);
    let interval = rig.queue.settings().flush_interval;
    rig.pass(interval / 2).await;
    assert!(rig.times().is_empty());
    rig.pass(interval).await;
    assert_eq!((rig.sizes(), rig.times()), (vec![1], vec![interval]));

    rig.actor.kill_and_wait(None).await.unwrap();
    rig.push(2);
    let actor = Shipper::start_link(rig.queue.clone(), parent().await).await.unwrap();
    rig.queue.shipper.set(Some(actor));
    rig.pass(interval / 2).await;
    assert_eq!(rig.sizes(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn heavy_items_are_sent_before_they_push_each_other_out() {
    let weight = trace(1).weight_bytes();
    let change = |settings: &mut QueueSettings| {
        settings.limits.bytes = 10 * weight;
        settings.flush_interval = 60 * MINUTE;
    };
    let mut rig = Rig::new(change, |_| Ok(())).await;
    for _ in 0..5 {
        rig.push(5);
        rig.pass(Duration::from_secs(1)).await;
    }
    let stats = rig.stats();
    assert_eq!((stats.evicted, stats.waiting), (0, 5), "{stats:#?}");
    assert_eq!(rig.sizes(), [10, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_keeps_what_waits_and_the_pause() {
    let mut rig = Rig::new(|_| (), |call| if call == 1 { Err(down().retry_after(MINUTE)) } else { Ok(()) }).await;
    rig.push(2);
    rig.pass(Duration::from_secs(6)).await;
    rig.actor.kill();
    let actor = Shipper::start_link(rig.queue.clone(), parent().await).await.unwrap();
    rig.queue.shipper.set(Some(actor));
    rig.pass(Duration::from_secs(30)).await;
    assert_eq!(rig.times().len(), 1);
    rig.pass(MINUTE).await;
    assert_eq!((rig.times().len(), rig.stats().sent), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn every_item_has_one_fate_whatever_happens() {
    let answers: Mutex<VecDeque<u32>> =
        Mutex::new((0..).map(|n: u32| n.wrapping_mul(2_654_435_761) >> 7).take(5_000).collect());
    let script = move |_| match answers.lock().unwrap().pop_front().unwrap_or(0) % 8 {
        0..=2 => Ok(()),
        3 => Err(ShipError::rejected("no")),
        4 => Err(ShipError::denied("who")),
        5 => Err(down().retry_after(Duration::from_secs(20))),
        6 => Err(down().after(vec![Part { items: 1, is_accepted: true }])),
        _ => Err(down()),
    };
    let few = NonZeroUsize::new(20).unwrap();
    let mut rig = Rig::new(|settings| settings.limits.items = few, script).await;
    for second in 0..30 * 60_u32 {
        rig.push(u128::from(second % 3 == 0));
        rig.pass(Duration::from_secs(1)).await;
        rig.stats();
    }
    rig.queue.settle();
    let stats = rig.stats();
    assert_eq!((stats.produced, stats.waiting), (600, 0));
    assert!(stats.sent > 50 && stats.rejected > 0 && stats.evicted > 0, "{stats:#?}");
}

/// Each trace that the adapter took, by its number.
fn taken(rig: &Rig) -> Vec<String> {
    let calls = rig.adapter.0.calls.lock().unwrap();
    calls.last().unwrap().1.iter().map(|trace| trace.id().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_goes_to_disk_and_is_sent_from_there_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let recovers = Instant::now() + MINUTE * 20;
    let script = move |_| if Instant::now() < recovers { Err(down()) } else { Ok(()) };
    let mut rig = Rig::spooling(Some(dir.path()), |_| (), script).await;
    for _ in 0..10 {
        rig.push(3);
        rig.pass(MINUTE).await;
        rig.stats();
    }
    let stats = rig.stats();
    assert_eq!((stats.spooled, stats.waiting, stats.spool.waiting, stats.lost()), (30, 0, 30, 0));
    rig.pass(MINUTE * 20).await;
    let stats = rig.stats();
    assert_eq!((stats.spool.sent, stats.spool.waiting, stats.sent), (30, 0, 0));
    assert_eq!(taken(&rig), (28..=30).map(|n| trace(n).id().to_string()).collect::<Vec<_>>());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_end_is_sent_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::spooling(Some(dir.path()), |_| (), |_| Err(down())).await;
    rig.push(4);
    rig.actor.kill_and_wait(None).await.unwrap();
    rig.queue.settle();
    let stats = rig.stats();
    assert_eq!((stats.spooled, stats.lost(), stats.waiting), (4, 0, 0));
    let next = Rig::spooling(Some(dir.path()), |_| (), |_| Ok(())).await;
    next.pass(MINUTE).await;
    assert_eq!((next.stats().spool.sent, next.stats().produced), (4, 0));
    assert_eq!(taken(&next), (1..=4).map(|n| trace(n).id().to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn of_a_spooled_batch_that_was_taken_in_part_the_rest_follows() {
    let dir = tempfile::tempdir().unwrap();
    let part = |items, is_accepted| Part { items, is_accepted };
    let script = move |call| match call {
        1 => Err(down()),
        2 => Err(down().after(vec![part(2, true), part(1, false)])),
        _ => Ok(()),
    };
    let mut rig = Rig::spooling(Some(dir.path()), |_| (), script).await;
    rig.push(5);
    rig.pass(MINUTE * 3).await;
    let stats = rig.stats().spool;
    assert_eq!((stats.sent, stats.rejected, stats.waiting), (4, 1, 0));
    assert_eq!(rig.sizes(), [5, 5, 2]);
}
