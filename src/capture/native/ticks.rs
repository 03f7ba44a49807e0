//! The raw clock, read without a call: in a signal handler as well as in a poll.
//!
//! The same numbers as `quanta::Clock::raw`, so its calibration holds for them. Everything that [`now`] does is
//! async-signal-safe: an atomic load, then one instruction or `clock_gettime`.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether quanta reads the processor's counter; else `CLOCK_MONOTONIC` in nanoseconds. Set once, by [`prepare`].
static IS_COUNTER: AtomicBool = AtomicBool::new(false);

/// Readings of quanta that are compared with the counter: one that lies between two readings of the counter would do,
/// but a thread may be moved to another core at the wrong moment.
const PROBES: u32 = 16;

/// Finds out what `clock` reads. To be called before the first [`now`]; any number of times, with the same outcome.
pub(crate) fn prepare(clock: &quanta::Clock) {
    if reads_the_counter(clock) {
        // Relaxed: who reads the clock comes later in this thread, or was handed the clock by it. Never set back.
        IS_COUNTER.store(true, Ordering::Relaxed);
    }
}

fn reads_the_counter(clock: &quanta::Clock) -> bool {
    // Nanoseconds since boot and cycles since reset do not meet within the few cycles of a probe, and if they did,
    // they would be the same clock.
    (0..PROBES).any(|_| {
        let before = counter();
        let read = clock.raw();
        let after = counter();
        before != 0 && before <= read && read <= after
    })
}

/// The present reading; only differences mean anything.
#[inline]
pub(crate) fn now() -> u64 {
    // Relaxed: a constant since before the first reading.
    if IS_COUNTER.load(Ordering::Relaxed) { counter() } else { without_counter() }
}

/// Apart, so that the room for the system's answer is not made in every function that reads the clock.
#[cold]
#[inline(never)]
fn without_counter() -> u64 {
    monotonic_nanos()
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86_64 processor has the instruction, and Linux lets user code use it unless a process forbids it
    // to itself (`PR_SET_TSC`), which quanta's calibration would not have survived either.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn counter() -> u64 {
    let count: u64;
    // SAFETY: reads a register that Linux opens to user code; touches no memory, stack or flags.
    unsafe {
        core::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack, preserves_flags));
    }
    count
}

/// Nanoseconds of `CLOCK_MONOTONIC`, by the vDSO: no system call where the kernel's clock source allows it.
#[inline]
pub(crate) fn monotonic_nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes. The clock always exists, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    // Neither is ever negative: the clock counts from boot.
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_lie_between_those_of_quanta() {
        let clock = quanta::Clock::new();
        prepare(&clock);
        let is_between = || {
            let before = clock.raw();
            let here = now();
            before <= here && here <= clock.raw()
        };
        assert!((0..1_000).filter(|_| is_between()).count() > 990, "another clock than quanta's");
    }

    #[test]
    fn monotonic_nanoseconds_do_not_run_back() {
        let mut last = 0;
        for _ in 0..1_000 {
            let now = monotonic_nanos();
            assert!(now >= last);
            last = now;
        }
    }
}
