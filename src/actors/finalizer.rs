//! Runs finalisations that are not small on the blocking pool: at most `max_concurrent_finalizations` at once, and as many
//! as wait in one turn of a thread, because waking one costs as much as finishing a trace of some hundred paths.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::safety::lock::lock;

/// How long the first that waits is kept for others to join it; next to `flush_interval_ms` it is nothing.
const COALESCE: Duration = Duration::from_millis(1);

type Work = Box<dyn FnOnce() + Send>;

/// See the module.
pub(crate) struct Finalizer {
    permits: Arc<Semaphore>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Work>,
    /// A task looks at the line until it is empty.
    is_watched: bool,
}

/// A job that waits in a line; withdrawn by its drop, unless a thread has begun it.
pub(crate) struct Waiting<J>(Slot<J>);

/// Where a thread takes a waiting job from.
pub(crate) struct Slot<J>(Arc<Mutex<Option<J>>>);

impl<J> Waiting<J> {
    pub(crate) fn new(job: J) -> Self {
        Self(Slot(Arc::new(Mutex::new(Some(job)))))
    }

    pub(crate) fn slot(&self) -> Slot<J> {
        Slot(self.0.0.clone())
    }

    /// The job, if no thread has begun it.
    #[cfg(native_capture)]
    pub(crate) fn take(&self) -> Option<J> {
        self.0.take()
    }
}

impl<J> Slot<J> {
    /// The job, unless it was withdrawn.
    pub(crate) fn take(&self) -> Option<J> {
        lock(&self.0).take()
    }
}

impl<J> Drop for Waiting<J> {
    fn drop(&mut self) {
        // Dropped outside of the lock.
        let job = self.0.take();
        drop(job);
    }
}

impl Finalizer {
    pub(crate) fn new(permits: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self { permits, line: Mutex::default() })
    }

    /// Does `work` on the blocking pool; `None` when it panicked, or the runtime is going down. Given up before its
    /// turn, `job` is dropped at once.
    pub(crate) async fn run<J: Send + 'static, R: Send + 'static>(
        self: &Arc<Self>,
        job: J,
        work: impl FnOnce(J) -> R + Send + 'static,
    ) -> Option<R> {
        let waiting = Waiting::new(job);
        let (done, result) = oneshot::channel();
        let slot = waiting.slot();
        self.push(Box::new(move || {
            if let Some(job) = slot.take() {
                // `Err`: nobody waits any more, and the result is dropped.
                done.send(work(job)).ok();
            }
        }));
        let result = result.await.ok();
        drop(waiting);
        result
    }

    fn push(self: &Arc<Self>, work: Work) {
        let mut line = lock(&self.line);
        line.waiting.push_back(work);
        if !std::mem::replace(&mut line.is_watched, true) {
            drop(tokio::spawn(self.clone().watch()));
        }
    }

    /// Sets one thread more to work, as far as there are permits, each time that the line has not become empty.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(COALESCE).await;
            {
                let mut line = lock(&self.line);
                if line.waiting.is_empty() {
                    line.is_watched = false;
                    return;
                }
            }
            if let Ok(permit) = self.permits.clone().try_acquire_owned() {
                let this = self.clone();
                drop(tokio::task::spawn_blocking(move || this.work(permit)));
            }
        }
    }

    fn work(&self, permit: OwnedSemaphorePermit) {
        while let Some(work) = self.next() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
                // Its own drop may panic too.
                std::mem::forget(payload);
            }
        }
        // Held by the work itself, so that abandoned work still counts.
        drop(permit);
    }

    fn next(&self) -> Option<Work> {
        lock(&self.line).waiting.pop_front()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_that_wait_are_done_and_a_panic_is_one_job_s_own() {
        let finalizer = Finalizer::new(Arc::new(Semaphore::new(1)));
        let jobs = (0..100).map(|number| {
            let finalizer = finalizer.clone();
            async move {
                let work = |number| if number == 50 { panic!("a test's panic") } else { number };
                finalizer.run(number, work).await
            }
        });
        let done = futures::future::join_all(jobs).await;
        assert_eq!(done[50], None);
        assert_eq!(done.iter().flatten().count(), 99);
        assert!(finalizer.run(7, |number| number).await == Some(7), "and it goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_permit_nothing_runs_and_what_is_given_up_is_dropped_at_once() {
        let permits = Arc::new(Semaphore::new(1));
        let finalizer = Finalizer::new(permits.clone());
        let held = permits.acquire().await.unwrap();
        let job = Arc::new(());
        let limited = tokio::time::timeout(Duration::from_secs(10), finalizer.run(job.clone(), drop));
        assert!(limited.await.is_err());
        assert_eq!(Arc::strong_count(&job), 1);
        drop(held);
        assert_eq!(finalizer.run(1, |number| number).await, Some(1));
    }
}
