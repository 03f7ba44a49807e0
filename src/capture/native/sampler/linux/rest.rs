//! Whether a thread's timer is stopped at the end of a poll, or left to fire where perhaps nothing is traced.
//!
//! A tick that finds no poll wakes a thread that sleeps, and puts it to sleep again: 30 to 60 µs on a virtual machine, and
//! for nothing. Stopping the timer and arming it again is two system calls of less than 1 µs each, for nothing as well if
//! the next poll comes before the tick. So the thread's own past decides: polls come in bursts (often of one), and where
//! the last tick was idle after so many polls, the timer is stopped after as many.
//!
//! ```text
//! idle tick, and no poll for a period after it    patience = polls of the burst
//! stopped, and the next poll before the tick      patience × 2, the burst goes on
//! ```
//! A thread that always has a poll to run stops its timer some twenty times and then no more.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// One thread and its handler use it, so plain loads and stores are all it takes. Times are nanoseconds of
/// `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(super) struct Rest {
    /// Polls of this burst that have ended.
    polls: AtomicU32,
    /// After so many the timer is stopped.
    patience: AtomicU32,
    /// The tick that did not come because the timer was stopped; 0: it was not.
    missed: AtomicU64,
    /// When a tick has come where no poll ran; 0: it has not.
    idle: AtomicU64,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            polls: AtomicU32::new(0),
            patience: AtomicU32::new(u32::MAX),
            missed: AtomicU64::new(0),
            idle: AtomicU64::new(0),
        }
    }
}

impl Rest {
    /// Another thread has the slot.
    pub(super) fn begin_anew(&self) {
        self.polls.store(0, Relaxed);
        self.patience.store(u32::MAX, Relaxed);
        self.missed.store(0, Relaxed);
        self.idle.store(0, Relaxed);
    }

    /// The timer, which was at rest, is armed at `now`. `period` is the time between two ticks.
    pub(super) fn ends(&self, now: u64, period: u64) {
        let (missed, idle) = (self.missed.load(Relaxed), self.idle.load(Relaxed));
        self.missed.store(0, Relaxed);
        self.idle.store(0, Relaxed);
        if now < missed {
            // The stop was wrong.
            return self.patience.store(self.patience.load(Relaxed).saturating_mul(2), Relaxed);
        }
        if idle != 0 && now.saturating_sub(idle) < period {
            // The tick fell between two polls of a burst.
            return;
        }
        if idle != 0 {
            self.patience.store(self.polls.load(Relaxed).max(1), Relaxed);
        }
        self.polls.store(0, Relaxed);
    }

    /// A poll has ended. True when the timer should be stopped.
    #[inline]
    pub(super) fn polled(&self) -> bool {
        // Below the patience of a thread that has never rested.
        let polls = self.polls.load(Relaxed).saturating_add(1).min(u32::MAX - 1);
        self.polls.store(polls, Relaxed);
        polls >= self.patience.load(Relaxed)
    }

    /// The timer was stopped, which was to fire at `tick`.
    pub(super) fn stopped(&self, tick: u64) {
        self.missed.store(tick, Relaxed);
    }

    /// For the handler: a tick has come at `now` where no poll ran.
    #[inline]
    pub(super) fn idle(&self, now: u64) {
        self.idle.store(now, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 1_000;

    /// Bursts of so many polls with a pause that is longer than a tick: how many ticks were idle, and how many times the
    /// timer was stopped.
    fn bursts(rest: &Rest, bursts: &[u32]) -> (u32, u32) {
        let (mut idle, mut stops, mut now) = (0, 0, TICK);
        for polls in bursts {
            let mut tick = None;
            for _ in 0..*polls {
                now += 1;
                if tick.is_none() {
                    rest.ends(now, TICK);
                    tick = Some((now / TICK + 1) * TICK);
                }
                if rest.polled() {
                    stops += 1;
                    rest.stopped(tick.take().unwrap_or_default());
                }
            }
            if tick.is_some() {
                idle += 1;
                rest.idle(now + 1);
            }
            now = (now / TICK + 3) * TICK;
        }
        (idle, stops)
    }

    #[test]
    fn bursts_of_one_length_are_known_after_the_first() {
        for length in [1, 2, 50] {
            assert_eq!(bursts(&Rest::default(), &[length; 100]), (1, 99), "{length}");
        }
    }

    #[test]
    fn longer_bursts_are_learnt_from_stops_that_were_wrong_and_shorter_ones_from_idle_ticks() {
        let rest = Rest::default();
        bursts(&rest, &[2; 10]);
        let (idle, stops) = bursts(&rest, &[100; 20]);
        assert!(idle <= 20 && stops < 20 + 8, "{idle} idle ticks and {stops} stops");
        let (idle, stops) = bursts(&rest, &[100; 20]);
        assert!(idle <= 1 && idle + stops == 20, "{idle} idle ticks and {stops} stops: one at the end of each burst");
        let (idle, _) = bursts(&rest, &[1; 50]);
        assert!(idle <= 2, "{idle}");
    }

    #[test]
    fn a_thread_that_is_always_busy_stops_its_timer_no_more() {
        let rest = Rest::default();
        bursts(&rest, &[1; 3]);
        let (mut stops, mut is_armed) = (0, false);
        for now in 0..10_000_000 {
            if !is_armed {
                rest.ends(now, TICK);
                is_armed = true;
            }
            if rest.polled() {
                stops += 1;
                is_armed = false;
                rest.stopped(now + TICK);
            }
        }
        assert!(stops < 40, "{stops}");
    }
}
