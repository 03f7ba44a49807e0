//! A disk that fails, and one that does not answer.

use std::path::Path;
use std::sync::mpsc;

use tokio::time::advance;

use super::*;
use crate::shipping::contained::Outcome;

/// A queue of which nothing but the test takes: it has no Shipper.
fn queue(dir: &Path) -> ShipQueue<TraceBatch> {
    let name: Arc<str> = "test".into();
    let origin = Arc::new(Origin { service: name.clone(), environment: name.clone(), release: name });
    let adapter = Contained::here(BoxedAdapter::new(crate::shipping::memory::MemoryAdapter::<Trace>::default()));
    let dice = SmallRng::seed_from_u64(7);
    let queue = ShipQueue::with(origin, adapter, queue_settings(), RetryPolicy::DEFAULT, dice);
    // As after a failed try, with an hour to the next one.
    queue.plan(&Outcome::Failed(down().retry_after(MINUTE * 60)), false, Instant::now());
    queue.spooling(dir.to_owned(), 1 << 20)
}

/// What is to go to disk now.
#[track_caller]
fn due(queue: &ShipQueue<TraceBatch>) -> Flight<TraceBatch> {
    match queue.next_step(true, Instant::now()) {
        Step::Spool(flight) => flight,
        _ => panic!("nothing is to go to disk: {:#?}", queue.stats()),
    }
}

fn waits(queue: &ShipQueue<TraceBatch>) -> bool {
    matches!(queue.next_step(true, Instant::now()), Step::Wait(_))
}

#[track_caller]
fn closed(queue: &ShipQueue<TraceBatch>) -> QueueStats {
    let stats = queue.stats();
    assert_eq!(stats.produced, stats.settled() + stats.waiting, "the ledger does not close: {stats:#?}");
    stats
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_is_left_alone_for_a_while_and_costs_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    std::fs::write(&place, "a file where the directory should be").unwrap();
    let queue = queue(&place);
    (1..=3).for_each(|number| queue.push(trace(number)));
    queue.spool(due(&queue)).await;
    assert_eq!((closed(&queue).waiting, waits(&queue)), (3, true), "it is not asked again at once");
    std::fs::remove_file(&place).unwrap();
    advance(MINUTE).await;
    queue.spool(due(&queue)).await;
    assert_eq!((closed(&queue).spooled, closed(&queue).lost()), (3, 0));
}

/// A runtime whose only thread for blocking work is taken until the sender is dropped.
fn with_a_stuck_disk<F: Future<Output = ()>>(test: impl FnOnce(mpsc::Sender<()>) -> F) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || released.recv().unwrap_or_default());
        test(release).await;
    });
}

#[test]
fn a_disk_that_does_not_answer_costs_what_it_was_given_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    with_a_stuck_disk(|release| async {
        let queue = queue(dir.path());
        (1..=3).for_each(|number| queue.push(trace(number)));
        let before = Instant::now();
        tokio::join!(queue.spool(due(&queue)), advance(Duration::from_secs(11)));
        assert!(before.elapsed() < Duration::from_secs(12), "it is not waited for");
        assert_eq!((closed(&queue).failed, closed(&queue).waiting), (3, 0));
        // Nothing more is given to it, however long it takes.
        for number in 4..=6 {
            queue.push(trace(number));
            advance(MINUTE * 2).await;
            assert!(waits(&queue));
        }
        let place = queue.in_flight.try_enter().unwrap();
        queue.spool(queue.take_off(queue.outbox.take_batch(), place, Instant::now())).await;
        assert_eq!((closed(&queue).failed, closed(&queue).waiting), (3, 3));
        drop(release);
        while !queue.can_spool(Instant::now()) {
            tokio::task::yield_now().await;
        }
        queue.spool(due(&queue)).await;
        assert_eq!((closed(&queue).failed, closed(&queue).spooled), (3, 3));
        // What had been given up was written in the end.
        assert_eq!(queue.stats().spool.waiting, 6);
    });
}

#[test]
fn the_end_does_not_wait_for_a_disk_that_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    with_a_stuck_disk(|release| async {
        let queue = queue(dir.path());
        queue.push(trace(1));
        tokio::join!(queue.spool(due(&queue)), advance(Duration::from_secs(11)));
        queue.push(trace(2));
        queue.settle();
        assert_eq!((closed(&queue).failed, closed(&queue).lost_at_shutdown), (1, 1));
        drop(release);
    });
}
