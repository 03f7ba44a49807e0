#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::shipping::adapter::ShipperAdapter;

const LIMIT: Duration = Duration::from_secs(10);

/// Does to its thread what the test says.
struct Scripted<F>(F);

impl<F, R> ShipperAdapter<u32> for Scripted<F>
where
    F: Fn(u32, ShipContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ShipError>> + Send,
{
    async fn ship(&self, batch: &u32, context: &ShipContext) -> Result<(), ShipError> {
        (self.0)(*batch, context.clone()).await
    }
}

fn contained<F, R>(script: F) -> Contained<u32>
where
    F: Fn(u32, ShipContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ShipError>> + Send + 'static,
{
    Contained::new(BoxedAdapter::new(Scripted(script)))
}

/// Blocks its thread until the test lets go of it, and says when it has come back.
struct Gate {
    adapter: Contained<u32>,
    entered: tokio::sync::mpsc::UnboundedReceiver<()>,
    open: mpsc::Sender<()>,
}

fn gate() -> Gate {
    let (enter, entered) = tokio::sync::mpsc::unbounded_channel();
    let (open, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let adapter = contained(move |_, _| {
        enter.send(()).unwrap();
        wait.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
        std::future::ready(Ok(()))
    });
    Gate { adapter, entered, open }
}

impl Gate {
    /// Starts a call, waits until it blocks, and lets its time pass.
    async fn stick(&mut self) -> Outcome {
        let call = tokio::spawn(self.adapter.send(0, ShipContext::default(), LIMIT));
        self.entered.recv().await.unwrap();
        tokio::time::advance(LIMIT + GRACE).await;
        call.await.unwrap()
    }

    async fn until_stuck(&self, count: usize) {
        while self.adapter.health().stuck() != count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_batch_and_a_failed_one_are_told_apart() {
    let adapter = contained(async |batch, context: ShipContext| {
        assert_eq!(context.time_left, LIMIT);
        if batch == 1 { Ok(()) } else { Err(ShipError::retryable("503").retry_after(Duration::from_secs(3))) }
    });
    assert!(matches!(adapter.send(1, ShipContext::default(), LIMIT).await, Outcome::Accepted));
    let outcome = adapter.send(2, ShipContext::default(), LIMIT).await;
    assert!(outcome.retry().is_some());
    let Outcome::Failed(error) = outcome else { panic!("{outcome}") };
    assert_eq!((error.to_string(), error.delay()), ("503".into(), Some(Duration::from_secs(3))));
}

#[tokio::test(start_paused = true)]
async fn a_call_past_its_deadline_is_cancelled() {
    let (started, mut began) = tokio::sync::mpsc::unbounded_channel();
    let adapter = contained(move |_, _| {
        let started = started.clone();
        async move {
            started.send(()).unwrap();
            std::future::pending().await
        }
    });
    let call = tokio::spawn(adapter.send(1, ShipContext::default(), LIMIT));
    began.recv().await.unwrap();
    tokio::time::advance(LIMIT).await;
    let outcome = call.await.unwrap();
    assert!(matches!(outcome, Outcome::TimedOut), "{outcome}");
    assert!(outcome.retry().is_some());
    assert_eq!(adapter.health().stuck(), 0);
}

/// Panics when it is dropped, with a payload that does so too.
struct Explosive(u32);

impl Drop for Explosive {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Explosive(self.0 - 1));
        }
    }
}

#[tokio::test]
async fn a_panic_does_not_get_out_however_its_payload_behaves() {
    let adapter = contained(async |batch, _| match batch {
        0 => panic!("plain"),
        depth => std::panic::panic_any(Explosive(depth)),
    });
    for depth in 0..3 {
        let outcome = adapter.send(depth, ShipContext::default(), LIMIT).await;
        assert!(matches!(outcome, Outcome::Panicked), "{outcome}");
        assert!(outcome.retry().is_none());
    }
    assert_eq!(adapter.health().stuck(), 0);
}

#[tokio::test]
async fn an_error_that_panics_when_shown_or_dropped_does_not_get_out() {
    #[derive(Debug)]
    struct Mine {
        shows: bool,
    }
    impl fmt::Display for Mine {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            assert!(self.shows, "cannot be shown");
            f.write_str("mine")
        }
    }
    impl std::error::Error for Mine {}
    impl Drop for Mine {
        fn drop(&mut self) {
            assert!(!self.shows, "cannot be dropped");
        }
    }
    let adapter = contained(async |batch, _| Err(ShipError::retryable(Mine { shows: batch == 1 })));
    for batch in 0..2 {
        let outcome = adapter.send(batch, ShipContext::default(), LIMIT).await;
        assert!(matches!(outcome, Outcome::Panicked), "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_thread_is_abandoned_and_stalls_nobody() {
    let mut gate = gate();
    let outcome = gate.stick().await;
    assert!(matches!(outcome, Outcome::Abandoned), "{outcome}");
    assert!(outcome.retry().is_none());
    assert_eq!(gate.adapter.health().stuck(), 1);
    gate.open.send(()).unwrap();
    gate.until_stuck(0).await;
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_blocks_two_threads_is_switched_off_until_one_comes_back() {
    let mut gate = gate();
    gate.stick().await;
    assert!(!gate.adapter.health().is_switched_off());
    // Its gate is held by the first call, so this one blocks before it, too.
    let second = tokio::spawn(gate.adapter.send(0, ShipContext::default(), LIMIT));
    gate.entered.recv().await.unwrap();
    tokio::time::advance(LIMIT + GRACE).await;
    assert!(matches!(second.await.unwrap(), Outcome::Abandoned));
    assert!(gate.adapter.health().is_switched_off());
    let third = gate.adapter.send(0, ShipContext::default(), LIMIT).await;
    assert!(matches!(third, Outcome::SwitchedOff), "{third}");
    gate.open.send(()).unwrap();
    gate.until_stuck(1).await;
    assert!(!gate.adapter.health().is_switched_off());
    gate.open.send(()).unwrap();
    gate.until_stuck(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_was_killed_counts_as_stuck_until_it_is_over() {
    let mut gate = gate();
    let call = tokio::spawn(gate.adapter.send(0, ShipContext::default(), LIMIT));
    gate.entered.recv().await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(gate.adapter.health().stuck(), 1);
    gate.open.send(()).unwrap();
    gate.until_stuck(0).await;
}

#[test]
fn without_a_free_thread_the_adapter_is_never_called() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let mut gate = gate();
        gate.stick().await;
        let called = Arc::new(AtomicUsize::new(0));
        let counter = called.clone();
        let other = contained(move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(()))
        });
        let call = tokio::spawn(other.send(0, ShipContext::default(), LIMIT));
        tokio::task::yield_now().await;
        tokio::time::advance(LIMIT + GRACE).await;
        let outcome = call.await.unwrap();
        assert!(matches!(outcome, Outcome::TimedOut), "{outcome}");
        gate.open.send(()).unwrap();
        gate.until_stuck(0).await;
        assert!(matches!(gate.adapter.health().stuck(), 0));
        // The thread is free again and has passed over the call that was given up.
        Handle::current().spawn_blocking(|| ()).await.unwrap();
        assert_eq!(called.load(Ordering::Relaxed), 0);
        assert_eq!(other.health().stuck(), 0);
    });
}

#[tokio::test]
async fn closing_is_contained_as_well() {
    struct Grumpy;
    impl ShipperAdapter<u32> for Grumpy {
        async fn ship(&self, _: &u32, _: &ShipContext) -> Result<(), ShipError> {
            Ok(())
        }
        async fn close(&self) {
            panic!("not yet");
        }
    }
    let adapter = Contained::new(BoxedAdapter::new(Grumpy));
    assert!(matches!(adapter.clone().close(LIMIT).await, Outcome::Panicked));
    let calm = contained(async |_, _| Ok(()));
    assert!(matches!(calm.close(LIMIT).await, Outcome::Accepted));
}

#[tokio::test]
async fn an_adapter_runs_inside_the_agents_runtime() {
    let adapter = contained(async |_, _| {
        // Would panic outside a runtime: a spawned task and a timer.
        tokio::spawn(async { tokio::time::sleep(Duration::from_millis(1)).await }).await.map_err(ShipError::permanent)
    });
    assert!(matches!(adapter.send(0, ShipContext::default(), LIMIT).await, Outcome::Accepted));
}
