//! What a tick takes on this machine.
//!
//! Not what the handler takes: a timer's interrupt and a signal take 2 µs on one machine and 40 on another, where a virtual
//! machine has to be left for each. A thread that does nothing but read the clock sees it as a gap in its readings:
//!
//! ```text
//! readings  ||||||||||||||||||||||||||||||          ||||||||||||||||||||
//!           armed                  deadline ◄─gap─►
//! ```

use super::cookie::Cookie;
use super::disposition;
use super::timer::{self, TimerId};
use crate::capture::native::ticks::monotonic_nanos;

/// The median of so many: the kernel's own tick, or another thread's turn, falls into one now and then.
const TICKS: usize = 15;
/// Readings before the deadline, in nanoseconds, and after it: all of them take 3 ms.
const BEFORE: u64 = 50_000;
const AFTER: u64 = 150_000;

/// Nanoseconds that the calling thread loses by a tick; `None` when it gets no timer, or somebody has put back a default
/// action that would kill. It blocks for 3 ms. To be called
/// while our handler is in place, which then stays there: nothing of this timer arrives after the call.
pub(super) fn measure(signal: libc::c_int) -> Option<u64> {
    let timer = timer::create(signal, Cookie::of_no_slot()).ok()?;
    let gaps: Option<Vec<u64>> =
        (0..TICKS).map(|_| if disposition::would_kill(signal) { None } else { longest_gap(timer) }).collect();
    // A signal of this thread's own is delivered before a system call of it returns.
    timer::disarm(timer);
    timer::delete(timer);
    gaps.and_then(median)
}

/// Around one tick.
fn longest_gap(timer: TimerId) -> Option<u64> {
    let mut last = monotonic_nanos();
    let deadline = last.saturating_add(BEFORE);
    if !timer::arm(timer, deadline) {
        return None;
    }
    // Not the system call itself.
    last = monotonic_nanos();
    let mut longest = 0;
    while last < deadline.saturating_add(AFTER) {
        let now = monotonic_nanos();
        longest = longest.max(now.saturating_sub(last));
        last = now;
    }
    Some(longest)
}

fn median(mut gaps: Vec<u64>) -> Option<u64> {
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_few_disturbed_gaps_do_not_count() {
        let mut gaps = vec![7_000; 15];
        gaps[..6].fill(4_000_000);
        assert_eq!(median(gaps), Some(7_000));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn something_is_measured_and_no_timer_is_left() {
        // Ignored by default, so a tick does nothing.
        let cost = measure(libc::SIGURG).unwrap();
        assert!(cost > 0, "two readings of the clock are apart");
    }
}
