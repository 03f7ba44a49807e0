//! What one thread needs to be sampled.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::cookie::Cookie;
use super::counters::COUNTERS;
use super::disposition;
use super::force::{self, Force};
use super::grid;
use super::rest::Rest;
use super::ring::Ring;
use super::running::Running;
use super::timer::{self, TimerId};
use crate::capture::native::fork::is_forked_child;
use crate::capture::native::thread_stack;
use crate::safety::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize};

/// No timer.
const NONE: libc::c_int = -1;

/// One thread at a time owns a slot; the owner and its handler write, the agent reads. Never freed, so a tick that is
/// late finds it, and the wrong generation in it.
// Apart from other threads' slots: each poll writes to its own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Slot {
    index: usize,
    is_owned: AtomicBool,
    pub(super) running: Running,
    pub(super) ring: Ring,
    /// The owner's stack. Nothing outside of it is read, whatever the poll says.
    lowest: AtomicUsize,
    end: AtomicUsize,
    /// Counts the timers that the slot has had.
    generation: AtomicU32,
    /// The [`Force`] that the timer was made for.
    epoch: AtomicU64,
    timer: AtomicI32,
    /// When the timer fires, in nanoseconds of `CLOCK_MONOTONIC`.
    ///
    /// Zero: not armed. `arm` sets it; the handler and `stop` clear it, and so does the agent when the tick has not come.
    armed: AtomicU64,
    /// How many calls of `arm` and `stop` are under way: one, or two where the handler has interrupted the other.
    arming: AtomicU32,
    /// The handler is at work.
    is_busy: AtomicBool,
    /// Ticks lost one after the other.
    lost: AtomicU32,
    seed: AtomicU64,
    pub(super) rest: Rest,
}

impl Slot {
    /// A slot for the place `index` of the pool, owned by the caller; `None` without memory for its ring.
    pub(super) fn leaked(index: usize) -> Option<&'static Self> {
        let ring = Ring::leaked()?;
        Some(Box::leak(Box::new(Self {
            index,
            is_owned: AtomicBool::new(true),
            running: Running::default(),
            ring,
            lowest: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            generation: AtomicU32::new(0),
            epoch: AtomicU64::new(0),
            timer: AtomicI32::new(NONE),
            armed: AtomicU64::new(0),
            arming: AtomicU32::new(0),
            is_busy: AtomicBool::new(false),
            lost: AtomicU32::new(0),
            seed: AtomicU64::new(0),
            rest: Rest::default(),
        })))
    }

    // Acquire and Release: the owner before has written to the ring.
    pub(super) fn try_own(&self) -> bool {
        !self.is_owned.load(Relaxed) && self.is_owned.compare_exchange(false, true, Acquire, Relaxed).is_ok()
    }

    pub(super) fn give_back(&self) {
        self.is_owned.store(false, Release);
    }

    pub(super) fn is_owned(&self) -> bool {
        self.is_owned.load(Relaxed)
    }

    /// Whether its timer is of the agents that run now.
    #[inline]
    pub(super) fn is_of(&self, epoch: u64) -> bool {
        self.epoch.load(Relaxed) == epoch
    }

    /// Whether a tick with this cookie is one of the present timer.
    #[inline]
    pub(super) fn is_in(&self, cookie: Cookie) -> bool {
        cookie.is_of(self.generation.load(Relaxed))
    }

    /// Makes a timer for the calling thread, which owns the slot.
    ///
    /// # Errors
    /// When the kernel gives none, or the bounds of the stack cannot be known.
    pub(super) fn prepare(&self, force: Force) -> io::Result<()> {
        self.delete_timer();
        let stack = thread_stack::bounds().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTSUP))?;
        let generation = Cookie::next_generation(self.generation.load(Relaxed));
        // Copies begin at a multiple of a word, and a stack that a user has made may not.
        self.lowest.store(stack.start.next_multiple_of(size_of::<u64>()), Relaxed);
        self.end.store(stack.end, Relaxed);
        self.seed.store(grid::scramble(u64::from(generation) << 32 | self.index as u64), Relaxed);
        // Release: pairs with the Acquire in `is_late`; `delete_timer` has said before whether the owner before is late.
        self.lost.store(0, Release);
        self.rest.begin_anew();
        self.generation.store(generation, Relaxed);
        let timer = timer::create(force.signal(), Cookie::new(self.index, generation))?;
        self.timer.store(timer.0, Release);
        self.epoch.store(force.epoch(), Relaxed);
        Ok(())
    }

    /// Ends the owner's timer. Called by the owner, outside of any poll.
    pub(super) fn delete_timer(&self) {
        // Whoever takes the id deletes: the agent may do so at the same time.
        let id = self.timer.swap(NONE, SeqCst);
        self.epoch.store(0, Relaxed);
        if id != NONE {
            let timer = TimerId(id);
            let was_running = timer::disarm(timer);
            // Acquire: pairs with the Release in `gives_up`.
            let is_armed = self.armed.load(Acquire) != 0;
            if self.is_late() || !was_running && is_armed {
                // It has fired, and the handler has not run.
                force::expect_late_ticks();
            }
            timer::delete(timer);
        }
        // Release: pairs with the Acquire in `retire`; what may still come is known before.
        self.armed.store(0, Release);
    }

    #[inline]
    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Relaxed) != 0
    }

    /// Arms the timer for the thread's next tick after `now` (nanoseconds of `CLOCK_MONOTONIC`), unless the agents have
    /// gone. For the owner and its handler: async-signal-safe.
    pub(super) fn arm(&self, now: u64) {
        if is_forked_child() {
            // The id would be that of a timer which the child has made itself.
            return;
        }
        // SeqCst, here and in `force`: either the last agent to leave sees that arming is under way, or it is seen here
        // that it has left.
        self.arming.fetch_add(1, SeqCst);
        if let Some(force) = force::present().filter(|force| self.is_of(force.epoch())) {
            self.arm_for(force, now);
        }
        self.arming.fetch_sub(1, SeqCst);
    }

    fn arm_for(&self, force: Force, now: u64) {
        if disposition::would_kill(force.signal()) {
            COUNTERS.withheld.add();
            return;
        }
        let tick = grid::next_tick(now, force.period(), self.seed.load(Relaxed));
        // Before the timer is set: its signal may come before the call returns.
        self.armed.store(tick, Relaxed);
        if !timer::arm(TimerId(self.timer.load(Relaxed)), tick) {
            self.armed.store(0, Relaxed);
        }
    }

    /// Stops the timer, for a rest that begins at `now`, unless it fires in a moment or has fired. For the owner, outside
    /// of any poll.
    pub(super) fn stop(&self, now: u64) {
        /// Since Linux 6.13 stopping a timer drops what it has sent, and nobody would clear `armed`; so not even close.
        const MOMENT: u64 = 20_000;
        let tick = self.armed.load(Relaxed);
        if tick <= now.saturating_add(MOMENT) || is_forked_child() {
            return;
        }
        // As in `arm`: the last agent does not delete the timer, whose id may become another's, before this is over.
        self.arming.fetch_add(1, SeqCst);
        let is_ours = force::present().is_some_and(|force| self.is_of(force.epoch()));
        let timer = TimerId(self.timer.load(Relaxed));
        if is_ours && timer::disarm(timer) {
            self.armed.store(0, Relaxed);
            self.rest.stopped(tick);
            COUNTERS.stopped.add();
        } else if is_ours && self.armed.load(Relaxed) == tick {
            // It fired inside of the call all the same, which has dropped the signal: the deadline is past, so another
            // one comes at once.
            timer::arm(timer, tick);
        }
        self.arming.fetch_sub(1, SeqCst);
    }

    /// For the handler: the tick has come. False when it has interrupted the handler itself.
    #[inline]
    pub(super) fn begin_tick(&self) -> bool {
        if self.is_busy.load(Relaxed) {
            return false;
        }
        self.is_busy.store(true, Relaxed);
        self.armed.store(0, Relaxed);
        self.lost.store(0, Relaxed);
        true
    }

    #[inline]
    pub(super) fn end_tick(&self) {
        self.is_busy.store(false, Relaxed);
    }

    /// The owner's stack.
    #[inline]
    pub(super) fn stack(&self) -> Range<usize> {
        self.lowest.load(Relaxed)..self.end.load(Relaxed)
    }

    /// For the agent: whether a tick that was due is given up at `now`. The next poll arms anew. Waits longer each time,
    /// since a handler that eats one tick eats them all.
    pub(super) fn gives_up(&self, now: u64) -> bool {
        const PATIENCE: u64 = 100_000_000;
        let armed = self.armed.load(Relaxed);
        let lost = self.lost.load(Relaxed);
        if armed == 0 || now < armed.saturating_add(PATIENCE << lost.min(7)) {
            return false;
        }
        // Before it is given up: whoever finds it not armed knows that it may still come. Release: pairs with the Acquire in
        // `delete_timer` and `retire`.
        self.lost.store(lost.saturating_add(1), Relaxed);
        // Cannot hit a later one: the same deadline is set twice only by a timer that was stopped before it, and this one is
        // long past.
        let has_given_up = self.armed.compare_exchange(armed, 0, Release, Relaxed).is_ok();
        if !has_given_up {
            // Unless the tick has come meanwhile, and none is lost.
            self.lost.compare_exchange(lost.saturating_add(1), lost, Relaxed, Relaxed).ok();
        }
        has_given_up
    }

    /// Whether a tick was given up, and none has come since: that one may still come. A timer has one signal at a time
    /// on its way, so each that comes is the last.
    fn is_late(&self) -> bool {
        self.lost.load(Acquire) != 0
    }

    /// For the last agent, once it has left: deletes the timer. False when something may still come of it, and then
    /// the timer stays with its owner. `is_late` says when there is no more time to wait.
    pub(super) fn retire(&self, is_late: &mut dyn FnMut() -> bool) -> bool {
        while self.arming.load(SeqCst) != 0 {
            if is_late() {
                return false;
            }
        }
        // Acquire: pairs with the Release in `delete_timer` and `gives_up`.
        while self.armed.load(Acquire) != 0 {
            let id = self.timer.load(Acquire);
            // Asked first: since Linux 6.13 setting a timer drops what it has sent, and then nobody clears `armed`. Where there
            // is none any more, its owner is about to say whether it has fired, and clears `armed` after that.
            if id != NONE && timer::runs(TimerId(id)) && timer::disarm(TimerId(id)) {
                self.armed.store(0, Relaxed);
            } else if is_late() {
                return false;
            }
        }
        let id = self.timer.swap(NONE, SeqCst);
        if id != NONE {
            timer::delete(TimerId(id));
        }
        !self.is_late()
    }
}
