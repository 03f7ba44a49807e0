//! The raw clock, read without a call: in a signal handler as well as in a poll.
//!
//! quanta knows whether the counter can be relied on: a clock of its own reads it then. Everything that [`now`] does is
//! async-signal-safe: an atomic load, then one instruction or `clock_gettime`.

#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::scale::{Reading, Scale};

/// Whether the processor's counter is read; else `CLOCK_MONOTONIC` in nanoseconds. Set once, by [`prepare`].
static IS_COUNTER: AtomicBool = AtomicBool::new(false);

/// Readings of quanta that are compared with the counter: one that lies between two readings of the counter would do,
/// but a thread may be moved to another core at the wrong moment.
const PROBES: u32 = 16;

/// Finds out whether the counter can be relied on, once for the process: its scale, or `None` where [`now`] reads
/// nanoseconds. To be called before the first [`now`].
pub(crate) fn prepare() -> Option<Scale> {
    static SCALE: OnceLock<Option<Scale>> = OnceLock::new();
    *SCALE.get_or_init(|| {
        let begin = Reading::take();
        let scale = if reads_the_counter(&quanta::Clock::new()) { Scale::since(begin) } else { None };
        // Relaxed: who reads the clock comes later in this thread, or was handed the clock by it.
        IS_COUNTER.store(scale.is_some(), Ordering::Relaxed);
        scale
    })
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

/// The present reading, for code that has no clock; only differences mean anything.
#[cfg(any(native_capture, test))]
#[inline]
pub(crate) fn now() -> u64 {
    // Relaxed: a constant since before the first reading.
    if IS_COUNTER.load(Ordering::Relaxed) { counter() } else { without_counter() }
}

/// Apart, so that the room for the system's answer is not made in every function that reads the clock.
#[cold]
#[inline(never)]
pub(crate) fn without_counter() -> u64 {
    monotonic_nanos()
}

#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn counter() -> u64 {
    // SAFETY: every x86_64 processor has the instruction, and Linux lets user code use it unless a process forbids it
    // to itself (`PR_SET_TSC`), which quanta's calibration would not have survived either.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
#[inline]
pub(crate) fn counter() -> u64 {
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
        prepare();
        let clock = quanta::Clock::new();
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
