//! The signal handler.
//!
//! It runs at any instruction of the host: with the allocator's lock held, in the middle of a `memcpy`, on any stack. All
//! that it calls:
//!
//! - atomic loads and stores of statics and of a slot that is never freed, and an atomic addition;
//! - `__errno_location` (an address in the thread's own block, which is there before the thread's first instruction);
//! - `clock_gettime` and, for signals that kill by default, `sigaction`: async-signal-safe by POSIX;
//! - `syscall(timer_settime)`: a bare system call, async-signal-safe by POSIX under its own name;
//! - the counter's instruction, and a copy in assembly, within the bounds of the thread's own stack;
//! - whoever handled the signal before, for all that is not ours.
//!
//! It touches no thread-local but errno, takes no lock, allocates nothing and has no operation that can panic: whole
//! numbers wrap or saturate, and slices are reached by `get`. What it does not do it counts.

use std::ops::Range;

use super::chain::{self, LINKS};
use super::cookie::Cookie;
use super::copy::copy_words;
use super::counters::COUNTERS;
use super::limit::Limit;
use super::pool;
use super::record::{self, HEADER, MAX_STACK};
use super::registers::{self, RED_ZONE};
use super::running::Poll;
use super::slot::Slot;
use super::tick_cost;
use crate::capture::native::registers::Registers;
use crate::capture::native::sampler::RawSample;
use crate::capture::native::ticks;
use crate::safety::atomic::AtomicU64;

/// What the kernel calls.
pub(super) type Entry = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// The same handler, once for each link of a chain.
pub(super) const ENTRIES: [Entry; LINKS] =
    [entry::<0>, entry::<1>, entry::<2>, entry::<3>, entry::<4>, entry::<5>, entry::<6>, entry::<7>];

static LIMIT: Limit = Limit(AtomicU64::new(0));

/// # Safety
/// Called by the kernel (or by a handler that stands in for it) with what `SA_SIGINFO` promises.
unsafe extern "C" fn entry<const LINK: usize>(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the caller's promise.
    match unsafe { cookie_of(info) } {
        Some(cookie) if cookie.is_of_no_slot() => tick_cost::arrived(),
        // SAFETY: the caller's promise.
        Some(cookie) => unsafe { tick(cookie, context.cast()) },
        // SAFETY: passed on as it came.
        None => unsafe { chain::forward(LINK, signal, info, context) },
    }
}

/// The cookie of a tick of ours.
///
/// # Safety
/// `info` is null or from the kernel.
#[inline]
unsafe fn cookie_of(info: *const libc::siginfo_t) -> Option<Cookie> {
    // SAFETY: the caller's promise.
    let info = unsafe { info.as_ref() }?;
    if info.si_code != libc::SI_TIMER {
        return None;
    }
    // SAFETY: signals of this code carry a value.
    Cookie::read(unsafe { info.si_value() }.sival_ptr.addr() as u64)
}

/// # Safety
/// `context` is from the kernel.
#[inline(never)]
unsafe fn tick(cookie: Cookie, context: *const libc::ucontext_t) {
    // SAFETY: the address is valid for the whole life of the thread.
    let errno = unsafe { &mut *libc::__errno_location() };
    let saved = *errno;
    let slot = pool::get(cookie.slot()).filter(|slot| slot.is_in(cookie) && !context.is_null());
    match slot {
        // SAFETY: the caller's promise.
        Some(slot) => sample_and_arm(slot, unsafe { registers::interrupted(context) }),
        None => COUNTERS.stale_ticks.add(),
    }
    *errno = saved;
}

/// One run of the handler in the calling thread, for measuring: as if a tick had found it in the function that this is
/// inlined into.
#[cfg(feature = "testing")]
#[inline(always)]
pub(super) fn tick_by_hand(slot: &Slot) {
    sample_and_arm(slot, Registers::here());
}

fn sample_and_arm(slot: &Slot, registers: Registers) {
    if !slot.begin_tick() {
        return;
    }
    match slot.running.interrupted() {
        Some(poll) => {
            let now = ticks::monotonic_nanos();
            sample(slot, poll, registers, now);
            slot.arm(now);
        }
        // The timer rests until the next poll.
        None => {
            COUNTERS.idle_ticks.add();
            slot.rest.idle(ticks::monotonic_nanos());
        }
    }
    slot.end_tick();
}

fn sample(slot: &Slot, poll: Poll, registers: Registers, now: u64) {
    if !LIMIT.allows(now) {
        return COUNTERS.rate_limited.add();
    }
    let extent = extent(slot.stack(), poll.base, registers.sp as usize);
    let (start, words) = extent.map_or((0, 0), |extent| (extent.start, extent.words.min(MAX_STACK)));
    let sample = RawSample {
        label: poll.label,
        time: ticks::now(),
        registers,
        base: poll.base,
        start,
        words: &[],
        is_foreign_stack: extent.is_none(),
        is_truncated: extent.is_some_and(|extent| extent.words > MAX_STACK),
    };
    if push(slot, poll.agent, &sample, words) {
        slot.running.has_taken();
        count(&sample);
    } else {
        COUNTERS.ring_full.add();
    }
}

fn count(sample: &RawSample<'_>) {
    COUNTERS.taken.add();
    if sample.is_foreign_stack {
        COUNTERS.foreign_stack.add();
    }
    if sample.is_truncated {
        COUNTERS.truncated.add();
    }
}

/// Whether there was room.
fn push(slot: &Slot, agent: u64, sample: &RawSample<'_>, words: usize) -> bool {
    // SAFETY: only the handler of the slot's owner produces, and it does not interrupt itself (`begin_tick`).
    let Some(room) = (unsafe { slot.ring.reserve(HEADER + words) }) else { return false };
    let target = slot.ring.target(&room);
    let header = record::header(agent, sample, words);
    // SAFETY: the room has `HEADER + words` words, which are ours until the commit. The source is null and not read
    // without words; else `extent` has found it within the thread's own stack, above the stack pointer but for the
    // red zone, where all is mapped.
    unsafe {
        copy_words(header.as_ptr(), target, HEADER);
        copy_words(std::ptr::with_exposed_provenance(sample.start), target.add(HEADER), words);
    }
    slot.ring.commit(&room);
    true
}

/// The words from a thread's stack pointer to its poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    start: usize,
    words: usize,
}

/// `None` when the thread is on another stack than `stack`, its own, or the poll was begun on another one. No words when
/// it is in the function that began the poll.
#[inline]
fn extent(stack: Range<usize>, base: usize, pointer: usize) -> Option<Extent> {
    const WORD: usize = size_of::<u64>();
    if !stack.contains(&pointer) || !stack.contains(&base) {
        return None;
    }
    let start = pointer.saturating_sub(RED_ZONE).max(stack.start) & !(WORD - 1);
    let end = base & !(WORD - 1);
    Some(Extent { start, words: end.saturating_sub(start) / WORD })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: Range<usize> = 0x10_0000..0x20_0000;

    #[test]
    fn a_thread_on_its_own_stack_is_copied_up_to_its_poll() {
        let extent = extent(STACK, 0x18_0000, 0x17_f000).map(|extent| (extent.start, extent.words));
        assert_eq!(extent, Some((0x17_f000 - RED_ZONE, (0x1000 + RED_ZONE) / 8)));
    }

    #[test]
    fn the_red_zone_does_not_reach_below_the_stack() {
        let extent = extent(STACK, 0x18_0000, STACK.start + 8).map(|extent| extent.start);
        assert_eq!(extent, Some(if RED_ZONE == 0 { STACK.start + 8 } else { STACK.start }));
    }

    #[test]
    fn odd_addresses_give_whole_words_within_the_bounds() {
        let extent =
            extent(STACK, 0x18_0007, 0x17_f003).map(|extent| (extent.start % 8, extent.start + 8 * extent.words));
        assert_eq!(extent, Some((0, 0x18_0000)));
    }

    #[test]
    fn the_function_that_began_the_poll_has_no_callers_in_it() {
        let words = |pointer| extent(STACK, 0x18_0000, pointer).map(|extent| extent.words);
        assert_eq!(words(0x18_0000), Some(RED_ZONE / 8));
        assert_eq!(words(0x19_0000), Some(0));
    }

    #[test]
    fn nothing_outside_of_the_threads_own_stack_is_copied() {
        for (base, pointer) in [
            (0x18_0000, STACK.start - 1),
            (0x18_0000, STACK.end),
            (0x18_0000, usize::MAX),
            (0x18_0000, 0),
            (STACK.end, 0x18_0000),
            (STACK.start - 1, 0x18_0000),
            (usize::MAX, 0x18_0000),
            (0, 0x18_0000),
            (0, 0),
        ] {
            assert_eq!(extent(STACK, base, pointer), None, "{base:#x} {pointer:#x}");
        }
    }
}
