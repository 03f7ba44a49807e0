//! Who handled the signal before us, and gets all that is not ours.
//!
//! ```text
//!  kernel ──► entry<1> ──► theirs ──► entry<0> ──► default
//! ```
//!
//! Several entries, because others come and go as well. They may have put their handler on top of ours and call it. When
//! all agents have ended and another one starts, our new entry goes on top of theirs, and theirs goes on calling the
//! old one. With one entry only, the two would call each other in a circle.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicUsize};

use super::counters::COUNTERS;
use super::disposition;

/// How many times others may stay on top of ours.
pub(super) const LINKS: usize = 8;

/// The address of a handler that takes a siginfo: user space ends far below this bit.
const TAKES_INFO: usize = 1 << 63;

/// One entry's place in the chain.
struct Link {
    /// Zero: never used.
    signal: AtomicI32,
    previous: AtomicUsize,
}

static CHAIN: [Link; LINKS] = [const { Link { signal: AtomicI32::new(0), previous: AtomicUsize::new(0) } }; LINKS];

/// A link that can go on top of `present`: one that was never used, or that nobody can have above it who is below it now.
pub(super) fn free_link(signal: libc::c_int, present: &libc::sigaction) -> Option<usize> {
    let is_nobody = [libc::SIG_DFL, libc::SIG_IGN].contains(&present.sa_sigaction);
    CHAIN.iter().position(|link| {
        let of = link.signal.load(Relaxed);
        of == 0 || of == signal && (is_nobody || link.previous.load(Relaxed) == encode(present))
    })
}

/// Lets `link` forward to `previous`.
pub(super) fn connect(link: usize, signal: libc::c_int, previous: &libc::sigaction) {
    if let Some(link) = CHAIN.get(link) {
        link.signal.store(signal, Relaxed);
        // Release: pairs with the Acquire in `forward`.
        link.previous.store(encode(previous), Release);
    }
}

fn encode(action: &libc::sigaction) -> usize {
    let takes_info = action.sa_flags & libc::SA_SIGINFO != 0;
    action.sa_sigaction | if takes_info { TAKES_INFO } else { 0 }
}

/// Hands a signal that is not ours to who was there before. Async-signal-safe if they are.
///
/// # Safety
/// The arguments are the kernel's, for a handler with `SA_SIGINFO`.
pub(super) unsafe fn forward(link: usize, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    COUNTERS.chained.add();
    let previous = CHAIN.get(link).map_or(libc::SIG_IGN, |link| link.previous.load(Acquire));
    let address = previous & !TAKES_INFO;
    match address {
        libc::SIG_IGN => {}
        libc::SIG_DFL => act_by_default(signal),
        _ if previous & TAKES_INFO != 0 => {
            // SAFETY: `sigaction` has given this address as that of a handler with `SA_SIGINFO`, which has this type.
            let handler: unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(address) };
            // SAFETY: the kernel's arguments, in the thread and at the time where the kernel would have called it.
            unsafe { handler(signal, info, context) }
        }
        _ => {
            // SAFETY: as above, for a handler without `SA_SIGINFO`.
            let handler: unsafe extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(address) };
            // SAFETY: as above.
            unsafe { handler(signal) }
        }
    }
}

/// Signals of the kind that end the process, sent by somebody else: it ends, once this handler has returned.
fn act_by_default(signal: libc::c_int) {
    if signal == libc::SIGURG {
        return;
    }
    // SAFETY: the default action is always there.
    if unsafe { disposition::swap(signal, &disposition::empty()) }.is_err() {
        return;
    }
    // SAFETY: takes numbers. To this thread, which blocks the signal until the handler returns.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal) };
}
