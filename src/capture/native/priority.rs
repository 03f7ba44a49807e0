//! The priority of one of the agent's own threads.

#![allow(unsafe_code)]

use std::io;

/// What is added to the niceness: at 10 a thread gets about a tenth of what one at 0 gets on the same core.
const NICER_BY: libc::c_int = 10;

/// Lets the calling thread, and no other, run behind those of the host.
///
/// # Errors
/// What the system says when it refuses.
pub(crate) fn lower_own() -> io::Result<()> {
    let nicer = own().saturating_add(NICER_BY);
    // SAFETY: takes numbers only. On Linux a thread's number names that thread alone; a value that is too high is
    // taken for the highest.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, thread(), nicer) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn own() -> libc::c_int {
    // SAFETY: takes numbers only, and does not fail for a thread that exists; -1 is a niceness like any other.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, thread()) }
}

fn thread() -> libc::id_t {
    // SAFETY: has no preconditions and does not fail.
    let thread = unsafe { libc::gettid() };
    // Never negative.
    thread as libc::id_t
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_is_lowered() {
        let before = own();
        let lowered = std::thread::spawn(|| lower_own().map(|()| own())).join().unwrap().unwrap();
        assert_eq!(lowered, (before + NICER_BY).min(19));
        assert_eq!(own(), before);
    }
}
