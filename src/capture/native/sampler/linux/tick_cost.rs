//! What a tick takes on this machine.
//!
//! Not what the handler takes: a timer's interrupt and a signal take 2 µs on one machine and 40 on another, where a virtual
//! machine has to be left for each. A thread that does nothing but read the clock sees it as a gap in its readings:
//!
//! ```text
//! readings  ||||||||||||||||||||||||||||||          ||
//!           armed                  deadline ◄─gap─►
//! ```

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
/// Readings before the deadline, in nanoseconds.
const BEFORE: u64 = 50_000;
/// How late a tick may be: 2 ms.
const LATE: u64 = 2_000_000;
/// What the handler does in a poll beyond what it does here, in nanoseconds: it arms the timer and copies 4 KiB of stack.
const HANDLER: u64 = 1_300;

/// Ticks that have arrived.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

/// For the handler: a tick of a timer that belongs to no slot. Async-signal-safe.
#[inline]
pub(super) fn arrived() {
    ARRIVED.fetch_add(1, Relaxed);
}

/// Nanoseconds that a thread loses by a tick; `None` where ticks do not arrive, or are not ours alone to handle. Takes 2 ms,
/// and 30 at most. To be called while our handler stays in place: nothing of its timer arrives after the call.
pub(super) fn measure(signal: libc::c_int) -> Option<u64> {
    if disposition::is_blocked(signal) {
        return None;
    }
    let timer = timer::create(signal, Cookie::of_no_slot()).ok()?;
    // Looked at each time: whoever has put a handler on top is not to be called for nothing.
    let gaps = (0..TICKS).filter_map(|_| install::is_in_place(signal).then(|| longest_gap(timer)).flatten()).collect();
    // A signal to the calling thread that was sent is delivered before its system call returns.
    timer::disarm(timer);
    timer::delete(timer);
    median(gaps).map(|gap| gap.saturating_add(HANDLER))
}

/// Around one tick; `None` when it does not come.
fn longest_gap(timer: TimerId) -> Option<u64> {
    let deadline = monotonic_nanos().saturating_add(BEFORE);
    if !timer::arm(timer, deadline) {
        return None;
    }
    // From here on, so that neither the system call counts nor a tick that came inside of it.
    let (before, mut last) = (ARRIVED.load(Relaxed), monotonic_nanos());
    let (mut longest, mut has_come) = (0, false);
    while !has_come && last < deadline.saturating_add(LATE) {
        // Looked at first: the reading below then comes after the tick.
        has_come = ARRIVED.load(Relaxed) != before;
        let now = monotonic_nanos();
        longest = longest.max(now.saturating_sub(last));
        last = now;
    }
    has_come.then_some(longest)
}

fn median(mut gaps: Vec<u64>) -> Option<u64> {
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().filter(|_| gaps.len() >= ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_disturbed_gaps_do_not_count_and_a_few_gaps_are_not_enough() {
        let mut gaps = vec![7_000; 15];
        gaps[..6].fill(4_000_000);
        assert_eq!(median(gaps), Some(7_000));
        assert_eq!(median(vec![7_000; ENOUGH]), Some(7_000));
        assert_eq!(median(vec![7_000; ENOUGH - 1]), None);
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn without_our_handler_nothing_is_measured() {
        assert_eq!(measure(libc::SIGUSR2), None);
    }
}
