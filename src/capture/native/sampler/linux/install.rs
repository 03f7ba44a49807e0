//! Putting the handler in place, and taking it away again.

use std::io;

use super::chain;
use super::disposition;
use super::handler::ENTRIES;

/// Why the handler is not in place.
#[derive(Debug)]
pub(super) enum InstallError {
    Kernel(io::Error),
    /// There is no entry left.
    ReplacedTooOften,
}

/// One of our entries that is or was in place.
#[derive(Debug, Clone, Copy)]
struct Entered {
    link: usize,
    signal: libc::c_int,
    previous: libc::sigaction,
}

/// The entries that were ever put in place: at most one for each link.
#[derive(Debug)]
pub(super) struct Handlers(Vec<Entered>);

impl Handlers {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sees to it that one of our entries handles `signal`.
    pub(super) fn install(&mut self, signal: libc::c_int) -> Result<(), InstallError> {
        let present = disposition::query(signal).map_err(InstallError::Kernel)?;
        if self.on_top(signal, &present).is_some() {
            return Ok(());
        }
        let link = chain::free_link(signal, &present).ok_or(InstallError::ReplacedTooOften)?;
        // Before the handler is there: the next signal may be somebody else's.
        chain::connect(link, signal, &present);
        let action = action_over(&present, link).ok_or(InstallError::ReplacedTooOften)?;
        // SAFETY: our entry can handle the signal at any time; it is code of this crate, whose library is never
        // unloaded while a thread-local of it has a destructor to run.
        let previous = unsafe { disposition::swap(signal, &action) }.map_err(InstallError::Kernel)?;
        if previous.sa_sigaction != present.sa_sigaction {
            // Somebody came in between.
            chain::connect(link, signal, &previous);
        }
        self.0.retain(|entered| entered.link != link);
        self.0.push(Entered { link, signal, previous });
        Ok(())
    }

    /// Takes our entry away if it is on top; else it stays where it is, and forwards.
    pub(super) fn restore(&mut self, signal: libc::c_int) -> io::Result<()> {
        let present = disposition::query(signal)?;
        let Some(entered) = self.on_top(signal, &present) else { return Ok(()) };
        // SAFETY: what was there before us, and is called by us until now.
        let removed = unsafe { disposition::swap(signal, &entered.previous) }?;
        if removed.sa_sigaction != present.sa_sigaction {
            // Somebody came in between: theirs goes back on top, and calls ours.
            // SAFETY: what was there a moment ago.
            unsafe { disposition::swap(signal, &removed) }?;
        }
        Ok(())
    }

    /// The entry of ours that `present` names.
    fn on_top(&self, signal: libc::c_int, present: &libc::sigaction) -> Option<Entered> {
        self.0.iter().copied().find(|entered| entered.signal == signal && is_entry(present, entered.link))
    }
}

/// Whether one of our entries handles `signal`.
pub(super) fn is_in_place(signal: libc::c_int) -> bool {
    disposition::query(signal).is_ok_and(|present| (0..ENTRIES.len()).any(|link| is_entry(&present, link)))
}

fn is_entry(present: &libc::sigaction, link: usize) -> bool {
    ENTRIES.get(link).is_some_and(|entry| present.sa_sigaction == *entry as usize)
}

/// Our entry, for one that is called in the same way as `previous` would be.
fn action_over(previous: &libc::sigaction, link: usize) -> Option<libc::sigaction> {
    let mut action = disposition::empty();
    action.sa_sigaction = *ENTRIES.get(link)? as usize;
    action.sa_mask = all_but_faults();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | alternate_stack(previous);
    Some(action)
}

/// What waits while the handler runs, for the half microsecond that it takes: more than whom we forward to can ask for. An
/// alternate stack of 8 KiB has no room for the frames of many handlers on top of each other. Faults cannot wait: one
/// that is blocked ends the process, and a handler that we forward to may mean to have them.
fn all_but_faults() -> libc::sigset_t {
    let mut set = disposition::empty().sa_mask;
    // SAFETY: the pointer is valid during the calls, and all are numbers of signals.
    unsafe {
        libc::sigfillset(&raw mut set);
        for fault in
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT]
        {
            libc::sigdelset(&raw mut set, fault);
        }
    }
    set
}

/// Alternate stacks have 8 KiB: enough for us, and not for a handler that was written for the whole stack (one that
/// unwinds, say).
fn alternate_stack(previous: &libc::sigaction) -> libc::c_int {
    let is_nobody = [libc::SIG_DFL, libc::SIG_IGN].contains(&previous.sa_sigaction);
    if is_nobody { libc::SA_ONSTACK } else { previous.sa_flags & libc::SA_ONSTACK }
}
