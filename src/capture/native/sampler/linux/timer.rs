//! POSIX timers, by the kernel's own system calls.
//!
//! Not through the C library: its `timer_t` may be a pointer to memory of its own, which a signal handler must not follow
//! after a deletion, while the kernel answers an id that is gone with an error. `syscall` only passes its arguments on
//! and sets errno, so everything here may be called in a handler.

use std::io;

use super::cookie::Cookie;

/// A timer of this process, as the kernel numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerId(pub(super) libc::c_int);

const NANOS: u64 = 1_000_000_000;

/// A timer of the calling thread, not armed.
///
/// # Errors
/// `EAGAIN` past `RLIMIT_SIGPENDING`; `EPERM` or `ENOSYS` under a seccomp profile; `ENOMEM`.
pub(super) fn create(signal: libc::c_int, cookie: Cookie) -> io::Result<TimerId> {
    // SAFETY: all zeroes is a value of this type of C.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event.sigev_value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(cookie.value() as usize) };
    // SAFETY: has no preconditions.
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    let mut id: libc::c_int = -1;
    // SAFETY: both pointers are valid during the call, and the kernel's `timer_t` is an int.
    let result = unsafe { libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw mut event, &raw mut id) };
    if result == 0 { Ok(TimerId(id)) } else { Err(io::Error::last_os_error()) }
}

/// Lets the timer fire once, at `deadline` nanoseconds of `CLOCK_MONOTONIC`, or at once when that is past. False when the
/// timer is gone. Async-signal-safe.
#[inline]
pub(super) fn arm(timer: TimerId, deadline: u64) -> bool {
    let value = libc::timespec {
        // The clock counts from boot, so seconds fit.
        tv_sec: (deadline / NANOS).cast_signed(),
        tv_nsec: (deadline % NANOS).cast_signed(),
    };
    set(timer, libc::TIMER_ABSTIME, value, std::ptr::null_mut())
}

/// Stops the timer; whether it was running, so that it will not fire any more.
pub(super) fn disarm(timer: TimerId) -> bool {
    let mut old = OFF;
    set(timer, 0, ZERO, &raw mut old) && is_running(old)
}

/// Whether the timer is armed and has not fired.
pub(super) fn runs(timer: TimerId) -> bool {
    let mut left = OFF;
    // SAFETY: the pointer is valid during the call.
    let result = unsafe { libc::syscall(libc::SYS_timer_gettime, timer.0, &raw mut left) };
    result == 0 && is_running(left)
}

/// Deletes the timer. What it has sent before may still arrive, unless the kernel is 6.13 or later.
pub(super) fn delete(timer: TimerId) {
    // SAFETY: takes a number; one that is gone is answered with an error, which says nothing new.
    unsafe { libc::syscall(libc::SYS_timer_delete, timer.0) };
}

const ZERO: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
const OFF: libc::itimerspec = libc::itimerspec { it_interval: ZERO, it_value: ZERO };

/// Writes to `old`, if not null, what was set before.
#[inline]
fn set(timer: TimerId, flags: libc::c_int, value: libc::timespec, old: *mut libc::itimerspec) -> bool {
    let new = libc::itimerspec { it_interval: ZERO, it_value: value };
    // SAFETY: `new` is valid during the call, and `old` null or valid.
    unsafe { libc::syscall(libc::SYS_timer_settime, timer.0, flags, &raw const new, old) == 0 }
}

fn is_running(left: libc::itimerspec) -> bool {
    left.it_value.tv_sec != 0 || left.it_value.tv_nsec != 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::capture::native::ticks;

    /// Ignored by default, so a tick does nothing.
    const SIGNAL: libc::c_int = libc::SIGURG;

    #[test]
    fn a_timer_runs_until_it_is_disarmed() {
        let timer = create(SIGNAL, Cookie::new(0, 0)).unwrap();
        assert!(!runs(timer) && !disarm(timer));
        assert!(arm(timer, ticks::monotonic_nanos() + 3_600 * NANOS));
        assert!(runs(timer) && disarm(timer) && !runs(timer));
        delete(timer);
        assert!(!arm(timer, 1), "it is gone");
    }

    #[test]
    fn a_deadline_that_is_past_fires_and_leaves_nothing_running() {
        let timer = create(SIGNAL, Cookie::new(0, 0)).unwrap();
        assert!(arm(timer, 1));
        assert!(!runs(timer) && !disarm(timer));
        delete(timer);
    }
}
