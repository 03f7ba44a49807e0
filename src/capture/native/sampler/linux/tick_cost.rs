//! What a tick takes on this machine.
//!
//! Not what the handler takes: a timer's interrupt and a signal take 2 µs on one machine and 40 on another, where a virtual
//! machine has to be left for each, and the caches are cold after it. The same work is done with a tick and without:
//!
//! ```text
//! without   ├─── passes over 64 KiB ───┤
//! with      ├arm─ passes ──╴tick╶── passes ───┤
//!                                      ◄ cost ►
//! ```

use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::cookie::Cookie;
use super::disposition;
use super::install;
use super::timer::{self, TimerId};
use crate::capture::native::ticks::monotonic_nanos;

/// The median counts: the kernel's own tick, or another thread's turn, falls into one now and then.
const TICKS: usize = 15;
/// Fewer say nothing.
const ENOUGH: usize = 8;
/// How long the work takes without a tick, about, and when the tick comes, in nanoseconds.
const WORK: u64 = 150_000;
const BEFORE: u64 = 30_000;
/// How late a tick may be: 2 ms. Until then the work goes on.
const LATE: u64 = 2_000_000;
/// What the handler does in a poll beyond what it does here, in nanoseconds: it copies 4 KiB of stack.
const HANDLER: u64 = 500;

/// Cache lines that the work goes over, a power of two: 64 KiB, more than the nearest cache of most processors.
const LINES: usize = 1_024;
const LINE: usize = 64 / size_of::<u64>();

/// Ticks that have arrived.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

/// For the handler: a tick of a timer that belongs to no slot. Async-signal-safe.
#[inline]
pub(super) fn arrived() {
    ARRIVED.fetch_add(1, Relaxed);
}

/// Nanoseconds that a thread loses by a tick; `None` where ticks do not arrive, or are not ours alone to handle. Takes 5 ms,
/// and 40 at most. To be called while our handler stays in place: nothing of its timer arrives after the call.
pub(super) fn measure(signal: libc::c_int) -> Option<u64> {
    if disposition::is_blocked(signal) {
        return None;
    }
    let timer = timer::create(signal, Cookie::of_no_slot()).ok()?;
    let work = Work::new();
    // Looked at each time: whoever has put a handler on top is not to be called for nothing.
    let cost = |_| install::is_in_place(signal).then(|| cost_of_one(&work, timer)).flatten();
    let costs = (0..TICKS).filter_map(cost).collect();
    // A signal to the calling thread that was sent is delivered before its system call returns.
    timer::disarm(timer);
    timer::delete(timer);
    median(costs).map(|cost| cost.saturating_add(HANDLER))
}

/// `None` when the tick does not come.
fn cost_of_one(work: &Work, timer: TimerId) -> Option<u64> {
    let before = monotonic_nanos();
    work.run();
    let (arrived, start) = (ARRIVED.load(Relaxed), monotonic_nanos());
    if !timer::arm(timer, start.saturating_add(BEFORE)) {
        return None;
    }
    let plain = start.saturating_sub(before);
    let mut expected = 0_u64;
    loop {
        work.run();
        expected = expected.saturating_add(plain);
        // Looked at before the clock: the tick is in the time.
        let has_arrived = ARRIVED.load(Relaxed) != arrived;
        let took = monotonic_nanos().saturating_sub(start);
        if has_arrived {
            return Some(took.saturating_sub(expected));
        }
        if took > LATE {
            return None;
        }
    }
}

/// Passes over memory, in an order that no prefetcher knows.
struct Work {
    memory: Vec<u64>,
    passes: u64,
}

impl Work {
    fn new() -> Self {
        let mut work = Self { memory: vec![1; LINES * LINE], passes: 1 };
        let pass = |_| {
            let start = monotonic_nanos();
            work.run();
            monotonic_nanos().saturating_sub(start)
        };
        // The first ones fetch the memory, and another thread's turn may fall into one.
        let shortest = (0..TICKS).map(pass).min().unwrap_or(WORK);
        work.passes = WORK / shortest.clamp(1, WORK);
        work
    }

    fn run(&self) {
        let mut line = 0;
        for _ in 0..self.passes {
            for _ in 0..LINES {
                let word = self.memory.get(line * LINE).copied().unwrap_or(1);
                // Each line once in a pass, and not before the last one is known: a generator with the full period.
                line = (5 * line + usize::try_from(word).unwrap_or(1)) % LINES;
            }
        }
        black_box(line);
    }
}

fn median(mut costs: Vec<u64>) -> Option<u64> {
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied().filter(|_| costs.len() >= ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_disturbed_costs_do_not_count_and_a_few_costs_are_not_enough() {
        let mut costs = vec![7_000; 15];
        costs[..6].fill(4_000_000);
        assert_eq!(median(costs), Some(7_000));
        assert_eq!(median(vec![7_000; ENOUGH]), Some(7_000));
        assert_eq!(median(vec![7_000; ENOUGH - 1]), None);
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn the_work_goes_over_every_line() {
        let mut lines: Vec<usize> =
            std::iter::successors(Some(0), |line| Some((5 * line + 1) % LINES)).take(LINES).collect();
        lines.sort_unstable();
        assert!(lines.into_iter().eq(0..LINES));
        assert!((1..=WORK).contains(&Work::new().passes));
    }

    #[test]
    fn without_our_handler_nothing_is_measured() {
        assert_eq!(measure(libc::SIGUSR2), None);
    }
}
