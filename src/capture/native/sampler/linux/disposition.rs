//! What the process does with a signal.

use std::io;

/// Which function, or [`libc::SIG_DFL`] or [`libc::SIG_IGN`].
pub(super) fn query(signal: libc::c_int) -> io::Result<libc::sigaction> {
    let mut present = empty();
    // SAFETY: the pointer is valid during the call; nothing is changed.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut present) };
    if result == 0 { Ok(present) } else { Err(io::Error::last_os_error()) }
}

/// Puts `action` in the place of what was there, and returns that.
///
/// # Safety
/// What `action` names can handle the signal at any time in any thread, for as long as it is in place.
pub(super) unsafe fn swap(signal: libc::c_int, action: &libc::sigaction) -> io::Result<libc::sigaction> {
    let mut old = empty();
    // SAFETY: both pointers are valid during the call; the caller answers for the handler.
    let result = unsafe { libc::sigaction(signal, action, &raw mut old) };
    if result == 0 { Ok(old) } else { Err(io::Error::last_os_error()) }
}

/// The default action.
pub(super) fn empty() -> libc::sigaction {
    // SAFETY: all zeroes is a value of this type of C, whose handler is `SIG_DFL` then.
    unsafe { std::mem::zeroed() }
}

/// Whether `signal` would end the process now. Async-signal-safe; for the default signal, which is ignored where nobody
/// handles it, there is nothing to ask.
#[inline]
pub(super) fn would_kill(signal: libc::c_int) -> bool {
    signal != libc::SIGURG && query(signal).is_ok_and(|present| present.sa_sigaction == libc::SIG_DFL)
}

/// Whether the calling thread blocks `signal`.
pub(super) fn is_blocked(signal: libc::c_int) -> bool {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: asks for the mask and changes nothing; `set` is initialised before (all zeroes) and after.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr());
        libc::sigismember(set.as_ptr(), signal) == 1
    }
}
