//! The raw clock, read without a call: in a signal handler as well as in a poll.
//!
//! Everything that [`now`] does is async-signal-safe: an atomic load, then one instruction or `clock_gettime`.

#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::scale::Scale;

/// Whether the processor's counter is read; else `CLOCK_MONOTONIC` in nanoseconds. Set once, by [`prepare`].
static IS_COUNTER: AtomicBool = AtomicBool::new(false);

/// Finds out whether the counter can be relied on, once for the process: its scale, or `None` where [`now`] reads
/// nanoseconds. To be called before the first [`now`]. The first call blocks for 10 ms.
pub(crate) fn prepare() -> Option<Scale> {
    static SCALE: OnceLock<Option<Scale>> = OnceLock::new();
    *SCALE.get_or_init(|| {
        let scale = if is_counter_steady() { Scale::measure() } else { None };
        // Relaxed: who reads the clock comes later in this thread, or was handed the clock by it.
        IS_COUNTER.store(scale.is_some(), Ordering::Relaxed);
        scale
    })
}

/// Whether the processor says that its counter runs at one rate, whatever its own frequency and however deep its sleep.
#[cfg(target_arch = "x86_64")]
fn is_counter_steady() -> bool {
    use core::arch::x86_64::__cpuid;

    const HIGHEST_EXTENDED: u32 = 0x8000_0000;
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    const INVARIANT_TSC: u32 = 1 << 8;
    #[allow(unused_unsafe, reason = "a safe function in later versions")]
    // SAFETY: every x86_64 processor has the instruction, which touches nothing but its registers.
    let leaf = |number| unsafe { __cpuid(number) };
    leaf(HIGHEST_EXTENDED).eax >= POWER_MANAGEMENT && leaf(POWER_MANAGEMENT).edx & INVARIANT_TSC != 0
}

/// Always: the architecture has it at one rate.
#[cfg(target_arch = "aarch64")]
fn is_counter_steady() -> bool {
    true
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
    // to itself (`PR_SET_TSC`), where the vDSO's clocks fail as well: they read the same counter.
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
    nanos_of(libc::CLOCK_MONOTONIC)
}

/// As [`monotonic_nanos`], of a clock that nobody speeds up or slows down to correct the time of day.
pub(super) fn uncorrected_nanos() -> u64 {
    nanos_of(libc::CLOCK_MONOTONIC_RAW)
}

#[inline]
fn nanos_of(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes. Both clocks always exist, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    // Neither is ever negative: the clocks count from boot.
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
