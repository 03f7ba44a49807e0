//! After `fork` without `exec` the child is off.
//!
//! The child of a process with several threads has only the one that forked: the agent's threads are gone, and a lock
//! that another thread held is never released. So nothing in the child may wait for the agent. Children made by
//! `std::process::Command` or `vfork` run another program at once and are not concerned; a raw `clone` system call
//! runs no fork handlers and is not seen.

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Written by the child of a fork only, never set back: the child's children are off as well.
static FORKED: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked off one that had [`watch_forks`]. One relaxed load.
///
/// An agent that is started in such a child is off too: what the parent's threads held is held for good.
pub(crate) fn is_forked_child() -> bool {
    // Relaxed: the store was made by the child's only thread before the fork returned in it.
    FORKED.load(Ordering::Relaxed)
}

/// Lets every later fork of this process mark its child. Registers once, however often it is called.
///
/// # Errors
/// When there is no memory for the registration; each later call says so again. Children are not marked then.
#[cfg(unix)]
pub(crate) fn watch_forks() -> io::Result<()> {
    use std::sync::OnceLock;

    static REGISTERED: OnceLock<libc::c_int> = OnceLock::new();
    let error = *REGISTERED.get_or_init(|| {
        // SAFETY: `mark_child` has the signature that is asked for, lives as long as the code of this crate (the C
        // library drops the handlers of a shared object that is unloaded), and does only what a child of a process
        // with threads may do: it stores to a static atomic.
        unsafe { libc::pthread_atfork(None, None, Some(mark_child)) }
    });
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// There is no fork here.
#[cfg(not(unix))]
pub(crate) fn watch_forks() -> io::Result<()> {
    Ok(())
}

/// Runs in the child before `fork` returns there. Async-signal-safe: one store, no lock, no allocation, no
/// thread-local, and it cannot panic.
#[cfg(unix)]
extern "C" fn mark_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// For tests of forking.
#[cfg(all(unix, feature = "testing"))]
pub(crate) mod testing {
    use std::io;

    /// A child that takes longer is killed by its own alarm.
    const CHILD_SECONDS: libc::c_uint = 10;

    /// Whether this process is the child of a watched one.
    pub fn is_off() -> bool {
        super::is_forked_child()
    }

    /// What an agent does as it starts.
    ///
    /// # Errors
    /// When the C library has no memory for it.
    pub fn watch() -> io::Result<()> {
        super::watch_forks()
    }

    /// Forks, runs `check` in the child, and gives its answer; any other end of the child is an error (a panic ends it
    /// with 101, an endless wait ends at an alarm after 10 s).
    ///
    /// The child has one thread and locks that nobody will release: `check` may do only what is async-signal-safe,
    /// and above all not allocate.
    ///
    /// # Errors
    /// When there is no fork, or the child did not answer.
    pub fn fork_and_check(check: fn() -> bool) -> io::Result<bool> {
        // SAFETY: forking itself has no preconditions. Its danger is a child that goes on with the parent's work; this
        // one runs `answer`, which does not return, does only what is async-signal-safe besides `check`, and lets no
        // panic through. A `check` that breaks its word hangs until the alarm.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => answer(check),
            child => answer_of(child),
        }
    }

    fn answer(check: fn() -> bool) -> ! {
        // SAFETY: `alarm` takes a number and is async-signal-safe.
        unsafe { libc::alarm(CHILD_SECONDS) };
        let panicked = ExitOnUnwind;
        let code = libc::c_int::from(!check());
        std::mem::forget(panicked);
        exit(code)
    }

    fn exit(code: libc::c_int) -> ! {
        // SAFETY: async-signal-safe; runs no exit handlers of the parent and does not return.
        unsafe { libc::_exit(code) }
    }

    /// Keeps a panic in the child from unwinding into the parent's code.
    struct ExitOnUnwind;

    impl Drop for ExitOnUnwind {
        fn drop(&mut self) {
            exit(101)
        }
    }

    fn answer_of(child: libc::pid_t) -> io::Result<bool> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is valid for writes during the call, and `child` is ours and not yet waited for.
            let waited = unsafe { libc::waitpid(child, &mut status, 0) };
            if waited == child {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
            (true, 0) => Ok(true),
            (true, 1) => Ok(false),
            _ => Err(io::Error::other(format!("the child ended with wait status {status:#x}"))),
        }
    }
}
