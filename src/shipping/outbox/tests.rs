#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Item {
    number: u32,
    weight: usize,
}

impl Weighted for Item {
    fn weight_bytes(&self) -> usize {
        self.weight
    }
}

struct Rig {
    outbox: Outbox<Item>,
    evicted: Arc<Mutex<Vec<(u32, Eviction)>>>,
    rings: Arc<AtomicUsize>,
}

impl Rig {
    fn new(items: usize, bytes: usize, batch: usize) -> Self {
        let evicted = Arc::new(Mutex::new(Vec::new()));
        let seen = evicted.clone();
        let limits =
            OutboxLimits { items: NonZeroUsize::new(items).unwrap(), bytes, batch: NonZeroUsize::new(batch).unwrap() };
        let outbox = Outbox::new(limits, move |item: Item, why| seen.lock().unwrap().push((item.number, why)));
        Self { outbox, evicted, rings: Arc::default() }
    }

    fn connect(&self) {
        let (rings, outbox) = (self.rings.clone(), self.outbox.clone());
        self.outbox.connect(move || {
            // Would hang if the lock were held while ringing.
            outbox.len();
            rings.fetch_add(1, Ordering::Relaxed);
        });
    }

    fn push(&self, numbers: std::ops::Range<u32>) {
        numbers.for_each(|number| self.outbox.push(Item { number, weight: 10 }));
    }

    fn evicted(&self) -> Vec<(u32, Eviction)> {
        self.evicted.lock().unwrap().clone()
    }

    fn rings(&self) -> usize {
        self.rings.load(Ordering::Relaxed)
    }

    fn take(&self) -> Vec<u32> {
        self.outbox.take_batch().iter().map(|queued| queued.item.number).collect()
    }
}

#[test]
fn a_batch_is_the_oldest_items_in_their_order() {
    let rig = Rig::new(10, 1_000, 3);
    rig.push(0..5);
    assert_eq!((rig.outbox.len(), rig.outbox.bytes()), (5, 50));
    assert_eq!(rig.take(), [0, 1, 2]);
    assert_eq!(rig.take(), [3, 4]);
    assert!(rig.take().is_empty());
    assert_eq!((rig.outbox.len(), rig.outbox.bytes()), (0, 0));
}

#[test]
fn too_many_items_evict_the_oldest_and_report_it() {
    let rig = Rig::new(3, 1_000, 10);
    rig.push(0..5);
    assert_eq!(rig.evicted(), [(0, Eviction::Full), (1, Eviction::Full)]);
    assert_eq!(rig.take(), [2, 3, 4]);
}

#[test]
fn too_many_bytes_evict_as_many_as_the_new_item_needs() {
    let rig = Rig::new(100, 100, 10);
    rig.push(0..10);
    rig.outbox.push(Item { number: 10, weight: 25 });
    assert_eq!(rig.evicted(), [(0, Eviction::Full), (1, Eviction::Full), (2, Eviction::Full)]);
    assert_eq!(rig.outbox.bytes(), 95);
}

#[test]
fn an_item_heavier_than_the_bound_costs_no_other_its_place() {
    let rig = Rig::new(100, 100, 10);
    rig.push(0..3);
    rig.outbox.push(Item { number: 9, weight: 101 });
    assert_eq!(rig.evicted(), [(9, Eviction::TooLarge)]);
    assert_eq!(rig.take(), [0, 1, 2]);
}

#[test]
fn a_burst_rings_once_until_a_batch_is_taken() {
    let rig = Rig::new(100, 10_000, 3);
    rig.connect();
    rig.push(0..2);
    assert_eq!(rig.rings(), 0);
    rig.push(2..9);
    assert_eq!(rig.rings(), 1);
    rig.take();
    rig.push(9..10);
    assert_eq!(rig.rings(), 2);
}

#[test]
fn heavy_items_ring_before_they_push_each_other_out() {
    let rig = Rig::new(100, 100, 50);
    rig.connect();
    rig.push(0..5);
    assert_eq!(rig.rings(), 0);
    rig.push(5..6);
    assert_eq!(rig.rings(), 1);
}

#[test]
fn what_waits_outlives_the_actor_and_rings_its_successor() {
    let rig = Rig::new(100, 10_000, 3);
    rig.push(0..3);
    assert_eq!(rig.rings(), 0);
    rig.connect();
    assert_eq!(rig.rings(), 1);
    // The first instance died before it came; its successor is told again.
    rig.connect();
    assert_eq!(rig.rings(), 2);
    assert_eq!(rig.take(), [0, 1, 2]);
}

#[test]
fn a_returned_batch_is_the_oldest_again() {
    let rig = Rig::new(100, 10_000, 3);
    rig.push(0..5);
    let batch = rig.outbox.take_batch();
    rig.outbox.put_back(batch);
    assert_eq!(rig.outbox.bytes(), 50);
    assert_eq!(rig.take(), [0, 1, 2]);
    assert_eq!(rig.take(), [3, 4]);
}

#[test]
fn a_returned_batch_yields_to_newer_items_when_there_is_no_room() {
    let rig = Rig::new(4, 10_000, 3);
    rig.push(0..3);
    let batch = rig.outbox.take_batch();
    rig.push(3..6);
    rig.outbox.put_back(batch);
    assert_eq!(rig.evicted(), [(0, Eviction::Full), (1, Eviction::Full)]);
    assert_eq!(rig.take(), [2, 3, 4]);
}

#[test]
fn nothing_is_lost_unseen_after_the_close() {
    let rig = Rig::new(100, 10_000, 1);
    rig.push(0..3);
    assert_eq!(rig.outbox.close().len(), 3);
    rig.push(3..4);
    rig.outbox.put_back([4, 5].map(|number| Queued::new(Item { number, weight: 1 })));
    assert_eq!(rig.evicted(), [(3, Eviction::Closed), (4, Eviction::Closed), (5, Eviction::Closed)]);
    assert!(rig.outbox.is_empty());
}

#[test]
fn pushing_from_many_threads_loses_and_doubles_nothing() {
    let rig = Rig::new(64, 100_000, 7);
    rig.connect();
    let taken: usize = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| rig.push(0..1_000));
        }
        let taker = scope.spawn(|| (0..1_000).map(|_| rig.outbox.take_batch().len()).sum::<usize>());
        taker.join().unwrap()
    });
    assert_eq!(taken + rig.evicted().len() + rig.outbox.len(), 4_000);
    assert!(rig.outbox.len() <= 64);
    assert_eq!(rig.outbox.bytes(), rig.outbox.len() * 10);
}
