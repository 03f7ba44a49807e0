//! What the recorder notes of the native stack: await sites, wakes, and how much of that a trace may cost.
//!
//! ```text
//! begin_poll   the wake since the last poll ─► Woke        a waker for the poll: a capturing or the stable one
//!    clone     within the bounds ─► Site                   past one of them: the stable waker for the next polls
//! end_poll     sites of which no waker is left ─► Gone
//! ```

use std::sync::Arc;
use std::task::Waker;

use super::{Recorder, USABLE};
use crate::capture::native::poll::Host;
use crate::capture::native::registers::Registers;
use crate::capture::native::sampler::Entered;
use crate::capture::native::unwind::{self, Cut};
use crate::capture::native::waker::{self, Cloned, SiteKind};
use crate::capture::task::is_of_one_task;
use crate::capture::wakes::{MAX_SITES, PendingBits, SiteId, WAKE_FRAMES, Wakes};
use crate::model::counters::{Count, Counters};
use crate::model::stack::{Place, StackWord};
use crate::model::trace_event::{Captured, TraceEvent};

/// Await sites captured in one poll at most: more wait at once only where hundreds do (`select_all`).
const SITES_A_POLL: u32 = 16;
/// Await sites captured in one trace at most.
const SITES_A_TRACE: u32 = 2_000;
const _: () = assert!(SITES_A_TRACE <= MAX_SITES, "each has its bit");
/// So many are captured before their cost is looked at: the first ones fill the caches.
const SITES_FOR_FREE: u32 = 64;
/// Captures may take one part in so many of the time that the trace's polls take.
const PART_OF_CPU: u64 = 20;
/// Frames of an await site; the outer ones of a deeper stack are missing.
const SITE_FRAMES: usize = 128;
/// Polls with the stable waker after the first one past a bound, and what they are multiplied by at each further one:
/// going back to capturing makes every leaf future register twice. At least [`POLLS_A_LEAF`] for each such leaf, unless another
/// leaf comes.
const STABLE_POLLS: u32 = 16;
const STABLE_GROWTH: u32 = 8;
const MAX_STABLE_POLLS: u32 = 1 << 16;
/// A poll pays for a quarter of a leaf's second registration.
const POLLS_A_LEAF: u32 = 4;

/// Polls that the counters are told of at once.
const UNCOUNTED_POLLS: u64 = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct NativePart {
    /// `None` until the first poll that is given a waker.
    wakes: Option<Arc<Wakes>>,
    /// Where the poll's own stack begins; 0 between polls.
    base: usize,
    polls: u64,
    sites: u32,
    /// Sites made in this poll.
    in_poll: u32,
    /// Wakers of this poll that were refused a capture.
    refused: u32,
    /// What the counters are not told yet.
    uncounted: Uncounted,
    /// What the session believes to be held.
    pending: PendingBits,
    stable: Stable,
    /// Raw time: when the poll began, what all polls took, and what captures took of it.
    entered: u64,
    running: u64,
    capturing: u64,
}

/// Counted here first, by one thread at a time.
#[derive(Debug, Default)]
struct Uncounted {
    sites: u64,
    refused: u64,
    stable_polls: u64,
}

/// The waker of polls in which nothing is captured: the same one for all, so that leaf futures keep it.
#[derive(Debug)]
struct Stable {
    /// It and the waker it was made for.
    waker: Option<(Waker, Waker)>,
    /// Polls that are still given it.
    polls_left: u32,
    /// And then so many more, until a leaf comes that has none of it.
    polls_more: u32,
    next_polls: u32,
}

/// The waker of one poll.
pub(crate) enum PollWaker {
    Capturing(Arc<Wakes>),
    Stable(Waker),
}

impl NativePart {
    pub(super) fn new() -> Self {
        Self {
            wakes: None,
            base: 0,
            polls: 0,
            sites: 0,
            in_poll: 0,
            refused: 0,
            uncounted: Uncounted::default(),
            pending: PendingBits::default(),
            stable: Stable { waker: None, polls_left: 0, polls_more: 0, next_polls: STABLE_POLLS },
            entered: 0,
            running: 0,
            capturing: 0,
        }
    }

    /// Whether the counts allow one more site in this poll. None after one that was refused: a thousand leaves may follow.
    fn has_sites_left(&self) -> bool {
        self.refused == 0 && self.in_poll < SITES_A_POLL && self.sites < SITES_A_TRACE
    }

    /// Whether the time that captures took allows one more at the raw time `now`.
    fn has_time_left(&self, now: u64) -> bool {
        let running = self.running.saturating_add(now.saturating_sub(self.entered));
        self.sites < SITES_FOR_FREE || self.capturing <= running / PART_OF_CPU
    }

    /// Tells `counters` what they do not know yet.
    fn tell(&mut self, counters: &Counters) {
        self.uncounted.refused += u64::from(std::mem::take(&mut self.refused));
        let Uncounted { sites, refused, stable_polls } = std::mem::take(&mut self.uncounted);
        let counts =
            [(Count::AwaitSites, sites), (Count::AwaitSitesBounded, refused), (Count::StablePolls, stable_polls)];
        counts.into_iter().filter(|(_, number)| *number > 0).for_each(|(count, number)| counters.add(count, number));
    }

    fn end_poll(&mut self, now: u64) {
        self.base = 0;
        self.running = self.running.saturating_add(now.saturating_sub(self.entered));
        if self.refused > 0 {
            let refused = std::mem::take(&mut self.refused);
            self.uncounted.refused += u64::from(refused);
            self.stable.begin(refused);
        }
    }
}

impl Stable {
    /// A poll has refused so many leaves: the next ones are given it.
    fn begin(&mut self, refused: u32) {
        self.polls_left = self.next_polls;
        let most = refused.saturating_mul(POLLS_A_LEAF).min(MAX_STABLE_POLLS);
        self.polls_more = most.saturating_sub(self.next_polls);
        self.next_polls = self.next_polls.saturating_mul(STABLE_GROWTH).min(MAX_STABLE_POLLS);
    }

    /// Whether one more poll is given it.
    fn takes_poll(&mut self) -> bool {
        let left = if self.polls_left > 0 { &mut self.polls_left } else { &mut self.polls_more };
        let is_left = *left > 0;
        *left = left.saturating_sub(1);
        is_left
    }

    /// For a poll: in the place of one that was made for another waker of the task.
    fn waker_for(&mut self, wakes: &Arc<Wakes>, parent: &Waker) -> Waker {
        self.kept_for(wakes, parent).unwrap_or_else(|| self.make(wakes, parent))
    }

    /// `None` where it was made for another waker of the task.
    fn kept_for(&mut self, wakes: &Arc<Wakes>, parent: &Waker) -> Option<Waker> {
        match &self.waker {
            Some((waker, of)) => is_of_one_task(of, parent).then(|| waker.clone()),
            None => Some(self.make(wakes, parent)),
        }
    }

    fn make(&mut self, wakes: &Arc<Wakes>, parent: &Waker) -> Waker {
        let made = waker::stable::<Host>(wakes.clone(), parent.clone());
        self.waker = Some((made.clone(), parent.clone()));
        made
    }
}

impl Recorder {
    /// Before `In`: what woke the task.
    pub(super) fn note_wake(&mut self, now: u64) {
        let Some(native) = &mut self.native else { return };
        native.polls += 1;
        native.entered = now;
        native.in_poll = 0;
        let Some(wakes) = &native.wakes else { return };
        let mut stack = None;
        let wake = wakes.begin_poll(native.polls, || stack.insert([StackWord(0); WAKE_FRAMES]));
        let Some(wake) = wake else { return };
        let raw = wake.raw.min(now);
        if let Some(name) = wake.task {
            self.write(TraceEvent::WokeBy(name), raw);
        }
        let words = stack.as_ref().and_then(|stack| stack.get(..wake.frames)).unwrap_or_default();
        self.write_stack(|slots| TraceEvent::Woke(Captured { site: wake.site.0, slots }), raw, words);
    }

    /// A poll's stack begins at `base`: it is sampled from here on.
    pub(crate) fn begin_native_poll(&mut self, base: usize) -> Option<Entered> {
        self.native.as_mut()?.base = base;
        self.shared.core.native.as_ref()?.enter(self.shared.label, base)
    }

    /// The waker for a poll that was given `parent`. `None` without native capture.
    pub(crate) fn poll_waker(&mut self, parent: &Waker) -> Option<PollWaker> {
        let native = self.native.as_mut()?;
        if !native.stable.takes_poll() {
            return self.wakes().map(PollWaker::Capturing);
        }
        native.uncounted.stable_polls += 1;
        let wakes = native.wakes.as_ref()?;
        Some(PollWaker::Stable(native.stable.waker_for(wakes, parent)))
    }

    /// A waker was cloned inside of the poll, in the function that `registers` are of: what the clone is to be.
    pub(crate) fn waker_cloned(
        &mut self,
        wakes: &Arc<Wakes>,
        parent: &Waker,
        registers: Registers,
        kind: SiteKind,
    ) -> Cloned {
        if let Some(site) = self.capture_site(registers, kind) {
            return Cloned::Own(site);
        }
        let stable = (kind == SiteKind::Leaf).then(|| self.waker_past_bound(wakes, parent)).flatten();
        stable.map_or(Cloned::Own(SiteId::NONE), Cloned::Stable)
    }

    /// A leaf has registered that had none of the stable waker. Not news in the first polls with it, where those that were
    /// captured before do.
    pub(crate) fn stable_waker_cloned(&mut self) {
        if let Some(native) = &mut self.native
            && native.stable.polls_left == 0
        {
            native.stable.polls_more = 0;
        }
    }

    /// The waker of the polls to come, for a leaf that was refused a capture in this one. `None` also where it was made
    /// for another waker of the task: that one is not dropped here, where the leaf may hold locks.
    fn waker_past_bound(&mut self, wakes: &Arc<Wakes>, parent: &Waker) -> Option<Waker> {
        let native = self.native.as_mut().filter(|native| native.refused > 0)?;
        native.stable.kept_for(wakes, parent)
    }

    /// Before the end of a poll after which the task waits.
    pub(super) fn note_gone(&mut self, now: u64) {
        let Some(native) = &mut self.native else { return };
        native.end_poll(now);
        if native.uncounted.refused > 0 || native.uncounted.stable_polls >= UNCOUNTED_POLLS {
            native.tell(&self.shared.core.counters);
        }
        if native.sites == 0 {
            return;
        }
        // Taken out while the events are written, which needs the rest of the recorder.
        let Some(wakes) = native.wakes.take() else { return };
        let (mut pending, made) = (std::mem::take(&mut native.pending), native.sites);
        wakes.each_gone(&mut pending, made, |site| self.write(TraceEvent::Gone(site.0), now));
        if let Some(native) = &mut self.native {
            (native.wakes, native.pending) = (Some(wakes), pending);
        }
    }

    /// The callers of the function that `registers` are of are where the task is about to wait.
    fn capture_site(&mut self, registers: Registers, kind: SiteKind) -> Option<SiteId> {
        if self.starved || self.events_left == 0 {
            return None;
        }
        let native = self.native.as_mut()?;
        let has_left = native.has_sites_left();
        // Not read for those that are refused anyway.
        let now = if has_left { self.clock.raw() } else { 0 };
        if !has_left || !native.has_time_left(now) {
            native.refused = native.refused.saturating_add(1);
            return None;
        }
        let site = SiteId(native.sites);
        let mut words = [StackWord(0); SITE_FRAMES];
        let frames = unwind::callers_in_place(registers, Cut::Base(native.base), &mut words);
        let words = words.get(..frames).unwrap_or_default();
        let event = |slots| match kind {
            SiteKind::Leaf => TraceEvent::Site(Captured { site: site.0, slots }),
            SiteKind::Branch => TraceEvent::BranchSite(Captured { site: site.0, slots }),
        };
        if words.is_empty() || !self.write_stack(event, now, words) {
            return None;
        }
        Some(self.note_captured(site, now))
    }

    fn note_captured(&mut self, site: SiteId, began: u64) -> SiteId {
        let now = self.clock.raw();
        if let Some(native) = &mut self.native {
            native.pending.insert(site);
            native.sites += 1;
            native.uncounted.sites += 1;
            native.in_poll += 1;
            native.capturing = native.capturing.saturating_add(now.saturating_sub(began));
        }
        site
    }

    /// Writes `event`, of a stack that takes so many slots, and the stack; false when there is no room.
    fn write_stack(&mut self, event: impl FnOnce(u32) -> TraceEvent, raw: u64, words: &[StackWord]) -> bool {
        let slots = words.len().div_ceil(2);
        if USABLE.saturating_sub(self.next) <= slots && !self.next_chunk() {
            return false;
        }
        let Ok(count) = u32::try_from(slots) else { return false };
        let header = [event(count).to_word(), raw];
        let pairs = words.chunks(2).map(|pair| [word_at(pair, 0), word_at(pair, 1)]);
        self.chunk.write_all(self.next, std::iter::once(header).chain(pairs));
        self.next += 1 + slots;
        self.frames += u64::from(count);
        self.events_left = self.events_left.saturating_sub(count + 1);
        true
    }

    /// So many samples were taken in the poll that is about to end.
    pub(crate) fn note_samples(&mut self, count: u32) {
        self.shared.note_sampled();
        self.record(TraceEvent::Sampled(count));
    }

    /// What wakers of this trace share; `None` without native capture.
    pub(crate) fn wakes(&mut self) -> Option<Arc<Wakes>> {
        let (native, capture) = (self.native.as_mut()?, self.shared.core.native.as_ref()?);
        let label = self.shared.label;
        let make = || {
            let wakes = capture.take_wakes(label);
            wakes.begin_at(native.polls);
            wakes
        };
        Some(native.wakes.get_or_insert_with(make).clone())
    }

    /// How far from the poll's base a function is whose stack pointer is `pointer`.
    #[inline]
    pub(super) fn place_of(&self, pointer: usize) -> Option<Place> {
        let base = self.native.as_ref()?.base;
        (base != 0).then(|| Place::of_local(base, pointer))
    }

    /// What was counted here is told before the recorder tells others that the trace is over.
    pub(super) fn tell_native(&mut self) {
        if let Some(native) = &mut self.native {
            native.tell(&self.shared.core.counters);
        }
    }

    /// The trace is over for its recorder.
    pub(super) fn release_native(&mut self) {
        self.tell_native();
        let Some(native) = self.native.take() else { return };
        let core = &self.shared.core;
        // The stable waker holds the wakes too.
        drop(native.stable);
        if let (Some(capture), Some(wakes)) = (&core.native, native.wakes) {
            capture.give_back_wakes(wakes);
        }
    }
}

fn word_at(pair: &[StackWord], at: usize) -> u64 {
    pair.get(at).map_or(0, |word| word.0)
}
