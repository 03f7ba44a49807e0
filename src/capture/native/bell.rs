//! How traced polls wake the [pump](super::pump), and how long it rests.

use std::sync::OnceLock;
use std::time::Duration;

use crate::safety::atomic::{AtomicBool, Ordering, Thread, park_timeout};

/// A ring takes the samples of so many ticks at 12 KiB each.
const TICKS: u32 = 20;
/// After a look that found no sample: as many at 8 KiB each, should work begin right after it.
const QUIET_TICKS: u32 = 30;
/// Between two looks at most, while it is awake: so long a module that was just loaded is not known.
const MAX_LOOK: Duration = Duration::from_millis(100);
/// With neither a traced poll that began nor a sample for so long it sleeps.
const IDLE: Duration = Duration::from_secs(1);
/// How long it sleeps at most: a wake that got lost in a forked child or by a thread that died is made up for.
const SLEEP: Duration = Duration::from_secs(10);

/// What host threads and the thread have in common.
#[derive(Debug, Default)]
pub(super) struct Bell {
    thread: OnceLock<Thread>,
    is_asleep: AtomicBool,
    /// A traced poll has begun since the last look.
    has_polled: AtomicBool,
    is_over: AtomicBool,
}

impl Bell {
    /// A traced poll begins. Two loads, unless it is the first since the last look.
    #[inline]
    pub(super) fn polled(&self) {
        // Relaxed: what one look misses the next one sees.
        if !self.has_polled.load(Ordering::Relaxed) {
            self.first_polled();
        }
    }

    #[cold]
    fn first_polled(&self) {
        // Swaps, all SeqCst, in the opposite order to those in `rest`: either it sees the poll, or this sees it asleep.
        self.has_polled.swap(true, Ordering::SeqCst);
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Whom it wakes; only one thread is ever started for a bell.
    pub(super) fn set_thread(&self, thread: Thread) {
        // `Err`: never, see above.
        self.thread.set(thread).ok();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// The thread ends at its next look.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.wake();
    }

    /// Waits for the time of the next look, after one that has found samples or not; a thread has a tick each `period`.
    pub(super) fn rest(&self, has_found: bool, period: Duration, idle: &mut Duration) {
        let has_polled = self.has_polled.swap(false, Ordering::SeqCst);
        let look = period.saturating_mul(if has_found { TICKS } else { QUIET_TICKS }).min(MAX_LOOK);
        // One poll may last for minutes, and goes on filling a ring.
        *idle = if has_polled || has_found { Duration::ZERO } else { idle.saturating_add(look) };
        if *idle < IDLE {
            return park_timeout(look);
        }
        self.is_asleep.swap(true, Ordering::SeqCst);
        if !self.has_polled.load(Ordering::SeqCst) && !self.is_over() {
            park_timeout(SLEEP);
        }
        self.is_asleep.swap(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(1);

    #[test]
    fn a_poll_after_a_long_rest_wakes_the_thread() {
        let bell = Arc::new(Bell::default());
        let sleeper = bell.clone();
        let thread = std::thread::spawn(move || {
            let began = std::time::Instant::now();
            sleeper.rest(false, PERIOD, &mut IDLE.clone());
            began.elapsed()
        });
        bell.set_thread(thread.thread().clone());
        while !bell.is_asleep.load(Ordering::SeqCst) && !thread.is_finished() {
            std::thread::yield_now();
        }
        bell.polled();
        assert!(thread.join().is_ok_and(|slept| slept < SLEEP));
    }

    #[test]
    fn a_poll_before_the_rest_keeps_it_short() {
        let bell = Bell::default();
        bell.polled();
        let mut idle = IDLE;
        bell.rest(false, PERIOD, &mut idle);
        assert_eq!(idle, Duration::ZERO);
    }

    #[test]
    fn samples_of_a_poll_that_began_long_ago_keep_the_rest_short() {
        let bell = Bell::default();
        let mut idle = IDLE;
        bell.rest(true, PERIOD, &mut idle);
        assert_eq!(idle, Duration::ZERO);
    }

    #[test]
    fn a_ring_is_looked_into_before_it_is_full_and_none_for_too_long() {
        let wait = |has_found, period| {
            let (bell, mut idle) = (Bell::default(), Duration::ZERO);
            let began = std::time::Instant::now();
            bell.rest(has_found, period, &mut idle);
            (began.elapsed(), idle)
        };
        assert!(wait(true, PERIOD).0 >= 20 * PERIOD);
        let (waited, idle) = wait(false, PERIOD);
        assert!(waited >= idle && idle == 30 * PERIOD, "{waited:?}");
        assert_eq!(wait(false, Duration::from_secs(1)).1, MAX_LOOK);
    }
}
