//! What the wakers of one trace and its recorder share: the wake that ends a sleep, and which await sites are pending.
//!
//! ```text
//! place of the wake   Idle ──first wake since the poll began──► Writing ──► Ready ──next poll reads it──► Idle
//! ```
//! A wake that finds the place taken is forwarded like any other and not recorded: only the first one after a poll
//! says who was waited for. All of it is atomics; a waker never waits here, whatever thread it wakes from.

use crate::model::frame::FrameId;
use crate::model::stack::StackWord;
use crate::safety::atomic::{AtomicU32, AtomicU64, Ordering};

/// Await sites of one trace at most: what the bound on captures allows (2,000), in whole words of bits.
pub(crate) const MAX_SITES: u32 = 2_048;
const SITE_WORDS: usize = (MAX_SITES / u64::BITS) as usize;
/// Frames kept of a waking thread: a tokio worker has some 30 below an actor's handler.
pub(crate) const WAKE_FRAMES: usize = 64;

/// Room for the stack of a waking thread.
pub(crate) type WakeStack = [StackWord; WAKE_FRAMES];

const IDLE: u64 = 0;
const WRITING: u64 = 1;
const READY: u64 = 2;
const PHASE_BITS: u32 = 2;
const PHASE_MASK: u64 = (1 << PHASE_BITS) - 1;

/// One await site of a trace; its number is what wakers and events know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SiteId(pub(crate) u32);

impl SiteId {
    /// For a waker that was made where nothing was captured.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wakes {
    /// Unique in the process; the generation of the recorder.
    pub(crate) label: u64,
    /// `number of the poll << 2 | phase`.
    state: AtomicU64,
    raw: AtomicU64,
    site: AtomicU32,
    /// The name of the task that woke, plus one; 0 without one.
    task: AtomicU32,
    frames: AtomicU32,
    stack: [AtomicU64; WAKE_FRAMES],
    /// A bit for each site whose waker somebody still holds.
    held: [AtomicU64; SITE_WORDS],
}

/// A recorded wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wake {
    pub(crate) raw: u64,
    pub(crate) site: SiteId,
    /// The name of the task that it came from.
    pub(crate) task: Option<FrameId>,
    /// How many words of the waking thread's stack were kept.
    pub(crate) frames: usize,
}

impl Wakes {
    pub(crate) fn new(label: u64) -> Self {
        Self {
            label,
            state: AtomicU64::new(IDLE),
            raw: AtomicU64::new(0),
            site: AtomicU32::new(0),
            task: AtomicU32::new(0),
            frames: AtomicU32::new(0),
            stack: std::array::from_fn(|_| AtomicU64::new(0)),
            held: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Makes a new one of one that nobody else has: for another trace.
    pub(crate) fn reuse(&mut self, label: u64) {
        self.label = label;
        self.state.store(IDLE, Ordering::Relaxed);
        self.held.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Nothing has woken yet, and the `poll`th is under way.
    pub(crate) fn begin_at(&self, poll: u64) {
        self.state.store(poll << PHASE_BITS | IDLE, Ordering::Relaxed);
    }

    /// Records a wake through `site` at `raw`, out of the task named `task`, if it is the first since the poll began.
    /// `capture` fills in the stack.
    pub(crate) fn record(
        &self,
        site: SiteId,
        raw: u64,
        task: Option<FrameId>,
        capture: impl FnOnce(&mut [StackWord]) -> usize,
    ) {
        let Some(state) = self.take_place() else { return };
        let mut words = [StackWord(0); WAKE_FRAMES];
        let frames = capture(&mut words).min(WAKE_FRAMES);
        for (kept, word) in self.stack.iter().zip(words.iter().take(frames)) {
            kept.store(word.0, Ordering::Relaxed);
        }
        self.make_ready(state, site, raw, task, frames);
    }

    /// As `record`, without a stack.
    pub(crate) fn record_without_stack(&self, site: SiteId, raw: u64, task: Option<FrameId>) {
        if let Some(state) = self.take_place() {
            self.make_ready(state, site, raw, task, 0);
        }
    }

    /// From `Idle` to `Writing`: the state before, for the wake that is the first.
    fn take_place(&self) -> Option<u64> {
        let state = self.state.load(Ordering::Relaxed);
        let is_first = state & PHASE_MASK == IDLE;
        // Acquire: pairs with the Release of the poll that made the place free.
        let taken = is_first
            && self.state.compare_exchange(state, state | WRITING, Ordering::Acquire, Ordering::Relaxed).is_ok();
        taken.then_some(state)
    }

    fn make_ready(&self, state: u64, site: SiteId, raw: u64, task: Option<FrameId>, frames: usize) {
        self.raw.store(raw, Ordering::Relaxed);
        self.site.store(site.0, Ordering::Relaxed);
        self.task.store(task.map_or(0, |name| name.0.wrapping_add(1)), Ordering::Relaxed);
        self.frames.store(u32::try_from(frames).unwrap_or(0), Ordering::Relaxed);
        // Release: whoever reads the phase reads all that was written. Nobody else leaves `Writing`.
        self.state.store(state & !PHASE_MASK | READY, Ordering::Release);
    }

    /// A poll begins, the `poll`th: gives the wake that came since the one before it, and makes room for the next. For
    /// the recorder only. `stack` is room for the waking thread's stack, and asked for if there is one. A wake that is being
    /// written at this moment is left to itself and given by no poll.
    pub(crate) fn begin_poll<'s>(&self, poll: u64, stack: impl FnOnce() -> &'s mut WakeStack) -> Option<Wake> {
        let state = self.state.load(Ordering::Acquire);
        let is_of_the_last = state >> PHASE_BITS == poll.wrapping_sub(1) & (u64::MAX >> PHASE_BITS);
        let wake = (state & PHASE_MASK == READY && is_of_the_last).then(|| self.read(stack));
        if state & PHASE_MASK != WRITING {
            let next = poll << PHASE_BITS | IDLE;
            // Release: a wake that takes the place has seen it read. Fails when one just began, which keeps the place.
            self.state.compare_exchange(state, next, Ordering::Release, Ordering::Relaxed).ok();
        }
        wake
    }

    fn read<'s>(&self, stack: impl FnOnce() -> &'s mut WakeStack) -> Wake {
        let frames = (self.frames.load(Ordering::Relaxed) as usize).min(WAKE_FRAMES);
        if frames > 0 {
            for (word, kept) in stack().iter_mut().zip(self.stack.iter().take(frames)) {
                *word = StackWord(kept.load(Ordering::Relaxed));
            }
        }
        let site = SiteId(self.site.load(Ordering::Relaxed));
        let task = self.task.load(Ordering::Relaxed).checked_sub(1).map(FrameId);
        Wake { raw: self.raw.load(Ordering::Relaxed), site, task, frames }
    }

    /// A waker was made at `site`.
    pub(crate) fn hold(&self, site: SiteId) {
        if let Some((word, bit)) = self.place_of(site) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// The last waker of `site` is gone: nothing waits there any more.
    pub(crate) fn release(&self, site: SiteId) {
        if let Some((word, bit)) = self.place_of(site) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn place_of(&self, site: SiteId) -> Option<(&AtomicU64, u64)> {
        let word = self.held.get((site.0 / u64::BITS) as usize)?;
        Some((word, 1 << (site.0 % u64::BITS)))
    }

    /// Calls `each` for every site below `made` that `pending` has and nobody holds any more, and takes it out.
    pub(crate) fn each_gone(&self, pending: &mut PendingBits, made: u32, mut each: impl FnMut(SiteId)) {
        let words = made.min(MAX_SITES).div_ceil(u64::BITS) as usize;
        for (index, (pending, held)) in (0u32..).zip(pending.words().zip(&self.held).take(words)) {
            let mut gone = *pending & !held.load(Ordering::Relaxed);
            *pending &= !gone;
            while gone != 0 {
                each(SiteId(index * u64::BITS + gone.trailing_zeros()));
                gone &= gone - 1;
            }
        }
    }
}

/// The sites that a session has been told of and not told to be gone: a bit each.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingBits {
    first: u64,
    /// The others, once there are so many sites: most traces have fewer.
    others: Option<Box<[u64; SITE_WORDS - 1]>>,
}

impl PendingBits {
    /// The session is told of `site`.
    pub(crate) fn insert(&mut self, site: SiteId) {
        let word = match (site.0 / u64::BITS) as usize {
            0 => Some(&mut self.first),
            index => self.others.get_or_insert_with(|| Box::new([0; SITE_WORDS - 1])).get_mut(index - 1),
        };
        if let Some(word) = word {
            *word |= 1 << (site.0 % u64::BITS);
        }
    }

    fn words(&mut self) -> impl Iterator<Item = &mut u64> {
        std::iter::once(&mut self.first).chain(self.others.iter_mut().flat_map(|others| others.iter_mut()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn empty() -> [StackWord; WAKE_FRAMES] {
        [StackWord(0); WAKE_FRAMES]
    }

    fn fill(words: &mut [StackWord]) -> usize {
        words[0] = StackWord(7);
        words[1] = StackWord(8);
        2
    }

    #[test]
    fn the_first_wake_after_a_poll_is_given_to_the_next_one_and_later_ones_are_not() {
        let (wakes, mut stack) = (Wakes::new(1), empty());
        assert_eq!(wakes.begin_poll(1, || &mut stack), None);
        wakes.record(SiteId(3), 100, Some(FrameId(7)), fill);
        wakes.record(SiteId(4), 200, None, |_| unreachable!("the second is not captured"));
        assert_eq!(
            wakes.begin_poll(2, || &mut stack),
            Some(Wake { raw: 100, site: SiteId(3), task: Some(FrameId(7)), frames: 2 })
        );
        assert_eq!(stack[..2], [StackWord(7), StackWord(8)]);
        assert_eq!(wakes.begin_poll(3, || &mut stack), None, "a wake is given once");
    }

    #[test]
    fn a_wake_that_is_still_being_written_is_left_alone_and_the_place_comes_free_again() {
        let (wakes, mut stack) = (Wakes::new(1), empty());
        wakes.begin_poll(1, || &mut stack);
        wakes.record(SiteId(0), 1, None, |_| {
            assert_eq!(wakes.begin_poll(2, || unreachable!("there is nothing to read")), None);
            0
        });
        assert_eq!(wakes.begin_poll(3, || &mut stack), None, "it was of the first poll");
        wakes.record_without_stack(SiteId(5), 2, None);
        wakes.record_without_stack(SiteId(6), 3, None);
        let wake = wakes.begin_poll(4, || unreachable!("there is no stack to read"));
        assert_eq!(wake, Some(Wake { raw: 2, site: SiteId(5), task: None, frames: 0 }));
    }

    #[test]
    fn a_site_is_gone_once_when_its_last_waker_is() {
        let (wakes, mut pending) = (Wakes::new(1), PendingBits::default());
        for site in [0, 63, 64, 2_047].map(SiteId) {
            wakes.hold(site);
            pending.insert(site);
        }
        wakes.release(SiteId(63));
        wakes.release(SiteId(2_047));
        wakes.release(SiteId::NONE);
        let mut gone = Vec::new();
        wakes.each_gone(&mut pending, MAX_SITES, |site| gone.push(site.0));
        assert_eq!(gone, [63, 2_047]);
        wakes.each_gone(&mut pending, MAX_SITES, |site| panic!("{site:?} twice"));
    }

    #[test]
    fn wakes_from_many_threads_give_whole_records() {
        let wakes = Wakes::new(1);
        let mut stack = empty();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=4u32)
                .map(|thread| {
                    let wakes = &wakes;
                    scope.spawn(move || {
                        let stamp = u64::from(thread);
                        for _ in 0..if cfg!(miri) { 50 } else { 20_000 } {
                            wakes.record(SiteId(thread), stamp, None, |words| {
                                words.fill(StackWord(stamp));
                                WAKE_FRAMES
                            });
                        }
                    })
                })
                .collect();
            let mut poll = 0;
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                poll += 1;
                if let Some(wake) = wakes.begin_poll(poll, || &mut stack) {
                    assert!(stack.iter().all(|word| word.0 == wake.raw) && u64::from(wake.site.0) == wake.raw);
                }
            }
        });
        // However the threads took turns, the place is free again for the next wake.
        wakes.begin_poll(u64::MAX >> 3, || &mut stack);
        wakes.record(SiteId(9), 9, None, fill);
        assert_eq!(wakes.begin_poll((u64::MAX >> 3) + 1, || &mut stack).map(|wake| wake.site), Some(SiteId(9)));
    }
}
