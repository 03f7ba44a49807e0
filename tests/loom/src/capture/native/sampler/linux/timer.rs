//! The kernel's timers, of which one thread at a time has one.
//!
//! A timer that is gone is answered with an error, but for arming: its number could be another's by then, and the crate
//! promises never to arm that one.

use std::io;

use super::cookie::Cookie;
use crate::turn::Turn;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerId(pub(super) libc::c_int);

struct Timer {
    cookie: Cookie,
    is_armed: bool,
    /// It has fired, and the signal has not arrived.
    is_sent: bool,
    is_deleted: bool,
}

struct Kernel {
    timers: Vec<Timer>,
    /// Setting or deleting a timer drops what it has sent: since Linux 6.13.
    drops_sent: bool,
    /// Our handler is there.
    has_handler: bool,
}

loom::lazy_static! {
    static ref KERNEL: Turn<Kernel> = Turn::new(Kernel { timers: Vec::new(), drops_sent: false, has_handler: true });
}

impl Kernel {
    fn timer(&mut self, id: TimerId) -> Option<&mut Timer> {
        self.timers.get_mut(usize::try_from(id.0).unwrap()).filter(|timer| !timer.is_deleted)
    }

    fn set(&mut self, id: TimerId, is_armed: bool) -> Option<bool> {
        let drops_sent = self.drops_sent;
        let timer = self.timer(id)?;
        timer.is_sent &= !drops_sent;
        Some(std::mem::replace(&mut timer.is_armed, is_armed))
    }
}

pub(super) fn create(_signal: libc::c_int, cookie: Cookie) -> io::Result<TimerId> {
    let mut kernel = KERNEL.take();
    kernel.timers.push(Timer { cookie, is_armed: false, is_sent: false, is_deleted: false });
    Ok(TimerId(i32::try_from(kernel.timers.len() - 1).unwrap()))
}

pub(super) fn arm(id: TimerId, _deadline: u64) -> bool {
    KERNEL.take().set(id, true).expect("armed, and gone: the number may be another's");
    true
}

pub(super) fn disarm(id: TimerId) -> bool {
    KERNEL.take().set(id, false).unwrap_or(false)
}

pub(super) fn runs(id: TimerId) -> bool {
    KERNEL.take().timer(id).is_some_and(|timer| timer.is_armed)
}

pub(super) fn delete(id: TimerId) {
    let mut kernel = KERNEL.take();
    let drops_sent = kernel.drops_sent;
    let timer = kernel.timer(id).expect("deleted twice");
    (timer.is_armed, timer.is_deleted) = (false, true);
    timer.is_sent &= !drops_sent;
}

/// What the kernel and the rest of the process do.
pub(super) mod world {
    use super::{Cookie, KERNEL};

    pub(in super::super) fn set_drops_sent(drops_sent: bool) {
        KERNEL.take().drops_sent = drops_sent;
    }

    /// Time passes: what is armed fires.
    pub(in super::super) fn fire() {
        for timer in &mut KERNEL.take().timers {
            timer.is_sent |= std::mem::take(&mut timer.is_armed);
        }
    }

    /// The signal that arrives now in the one thread that has had timers.
    pub(in super::super) fn arriving() -> Option<Cookie> {
        let mut kernel = KERNEL.take();
        let has_handler = kernel.has_handler;
        let timer = kernel.timers.iter_mut().find(|timer| timer.is_sent)?;
        assert!(has_handler, "a tick where nobody handles it: the process is dead");
        timer.is_sent = false;
        Some(timer.cookie)
    }

    pub(in super::super) fn remove_handler() {
        KERNEL.take().has_handler = false;
    }

    pub(in super::super) fn has_handler() -> bool {
        KERNEL.take().has_handler
    }

    /// Nothing may come of any timer once our handler is gone.
    pub(in super::super) fn is_quiet_without_handler() {
        let kernel = KERNEL.take();
        let is_quiet = kernel.timers.iter().all(|timer| !timer.is_armed && !timer.is_sent);
        assert!(kernel.has_handler || is_quiet, "a tick is still to come, and nobody handles it");
    }
}
