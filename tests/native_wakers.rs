//! The agent's own wakers under random interleavings over threads, also with signals: no wake is lost or made up, and
//! no node outlives its wakers.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{NativeCapture, UnitSettings};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Threads that wake; one more polls and never wakes another's task.
const WAKING: usize = 4;
const PLACES: usize = 16;
/// Wakers that a waking thread keeps to itself, whatever becomes of their traces.
const KEPT: usize = 32;
/// More than are captured in one poll: those past it share a waker.
const FIRST_CLONES: usize = 20;
/// A tick each 200 µs.
const HZ: u32 = 5_000;
/// Ends a test that waits for what never comes.
const LIMIT: Duration = Duration::from_secs(60);

/// A task's own waker that counts.
#[derive(Default)]
struct Task(AtomicU64);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker, and the number of the thread whose task it wakes.
struct Kept {
    waker: Waker,
    of: usize,
}

/// What all threads share.
struct Shared {
    agent: TestAgent,
    places: [Mutex<Option<Kept>>; PLACES],
    /// Wakes that were sent to the task of each thread.
    sent: [AtomicU64; WAKING + 1],
    is_over: AtomicBool,
}

impl Shared {
    fn wake_by_ref(&self, kept: &Kept) {
        self.sent[kept.of].fetch_add(1, Ordering::SeqCst);
        kept.waker.wake_by_ref();
    }

    fn wake(&self, kept: Kept) {
        self.sent[kept.of].fetch_add(1, Ordering::SeqCst);
        kept.waker.wake();
    }
}

/// One thread and its task.
struct Party<'a> {
    shared: &'a Shared,
    number: usize,
    random: SmallRng,
    kept: Vec<Kept>,
    steps: u64,
}

impl Party<'_> {
    fn chance(&mut self, one_in: u32) -> bool {
        self.random.random_ratio(1, one_in)
    }

    fn place(&mut self) -> usize {
        self.random.random_range(0..PLACES)
    }

    fn take(&mut self) -> Option<Kept> {
        let place = self.place();
        self.shared.places[place].lock().unwrap().take()
    }

    /// What was in the place before is dropped.
    fn put(&mut self, kept: Kept) {
        let place = self.place();
        let before = self.shared.places[place].lock().unwrap().replace(kept);
        drop(before);
    }

    /// A trace of so many polls, of which each leaves clones of its waker in the shared places and does `each`. Some
    /// are dropped before they are done.
    fn trace(&mut self, task: &Waker, polls: u32, mut each: impl FnMut(&mut Self)) {
        let polls_left = if self.chance(4) { polls / 2 } else { polls };
        let (agent, mut number) = (&self.shared.agent, 0);
        let work = poll_fn(|cx| {
            number += 1;
            self.register(cx.waker(), number == 1);
            each(self);
            if number < polls { Poll::Pending } else { Poll::Ready(()) }
        });
        let mut work = pin!(agent.unit("test", || "one").run(work));
        let mut cx = Context::from_waker(task);
        for _ in 0..polls_left {
            if work.as_mut().poll(&mut cx).is_ready() {
                break;
            }
            // Whoever wakes gets its turn also where there are fewer processors than threads.
            std::thread::yield_now();
        }
    }

    fn register(&mut self, waker: &Waker, is_first: bool) {
        let clones = if is_first { FIRST_CLONES } else { self.random.random_range(1..=4) };
        for _ in 0..clones {
            let kept = Kept { waker: waker.clone(), of: self.number };
            self.put(kept);
        }
        if self.chance(32) {
            self.shared.sent[self.number].fetch_add(1, Ordering::SeqCst);
            waker.wake_by_ref();
        }
    }

    /// Does something to a random waker, if there is one.
    fn step(&mut self) {
        let Some(mut kept) = self.take() else { return std::thread::yield_now() };
        self.steps += 1;
        match self.random.random_range(0..8) {
            0 => self.shared.wake(kept),
            1 => {
                for _ in 0..self.random.random_range(1..=4) {
                    self.shared.wake_by_ref(&kept);
                }
                self.put(kept);
            }
            2 => {
                self.shared.wake(Kept { waker: kept.waker.clone(), of: kept.of });
                self.put(kept);
            }
            3 => {
                kept.waker = kept.waker.clone();
                self.put(kept);
            }
            4 => {
                if let Some(other) = self.take() {
                    kept.waker.clone_from(&other.waker);
                    kept.of = other.of;
                    self.put(other);
                }
                self.put(kept);
            }
            5 => self.put(kept),
            6 => self.keep(kept),
            _ => drop(kept),
        }
    }

    /// Keeps it in the place of one that was kept long enough.
    fn keep(&mut self, kept: Kept) {
        if self.kept.len() < KEPT {
            return self.kept.push(kept);
        }
        // The first quarter is kept to the end.
        let at = self.random.random_range(KEPT / 4..KEPT);
        let old = std::mem::replace(&mut self.kept[at], kept);
        match self.random.random_range(0..3) {
            0 => self.shared.wake(old),
            1 => self.put(old),
            _ => drop(old),
        }
    }

    /// Wakes one of those that are kept.
    fn wake_kept(&mut self) {
        if !self.kept.is_empty() {
            let at = self.random.random_range(0..self.kept.len());
            self.shared.wake_by_ref(&self.kept[at]);
            self.steps += 1;
        }
    }

    /// So many steps at the least: inside of traces of its own and outside.
    fn wake_others(mut self, task: &Waker, steps: u64, is_enough: impl Fn() -> bool) -> Vec<Kept> {
        while self.steps < steps || !is_enough() {
            if self.chance(3) {
                let polls = self.random.random_range(1..50);
                self.trace(task, polls, |party| (0..8).for_each(|_| party.step()));
            } else {
                (0..32).for_each(|_| self.step());
            }
            self.wake_kept();
        }
        self.kept
    }

    fn poll_until_over(mut self, task: &Waker) -> Vec<Kept> {
        while !self.shared.is_over.load(Ordering::SeqCst) {
            let polls = self.random.random_range(200..400);
            self.trace(task, polls, |_| ());
        }
        self.kept
    }
}

fn agent(hz: u32) -> TestAgent {
    // No trace is named: that would take most of the time.
    let discarded = UnitSettings::new().threshold(Duration::from_secs(86_400));
    TestAgent::with(|config| config.native_capture(NativeCapture::On).cpu_sample_hz(hz).event("test", discarded))
        .unwrap()
}

/// Runs all threads, which do so many steps in all; gives the wakers that they kept.
fn run(shared: &Shared, tasks: &[Arc<Task>], steps: u64, is_enough: impl Fn() -> bool + Sync) -> Vec<Kept> {
    let party = |number: usize| {
        let random = SmallRng::seed_from_u64(number as u64);
        (Party { shared, number, random, kept: Vec::new(), steps: 0 }, Waker::from(tasks[number].clone()))
    };
    let (party, is_enough) = (&party, &is_enough);
    std::thread::scope(|scope| {
        let each = steps.div_ceil(WAKING as u64);
        let waking: Vec<_> = (0..WAKING)
            .map(|number| {
                scope.spawn(move || {
                    let (party, task) = party(number);
                    party.wake_others(&task, each, is_enough)
                })
            })
            .collect();
        let polling = scope.spawn(|| {
            let (party, task) = party(WAKING);
            party.poll_until_over(&task)
        });
        let ended: Vec<_> = waking.into_iter().map(|thread| thread.join()).collect();
        shared.is_over.store(true, Ordering::SeqCst);
        let mut kept: Vec<_> = ended.into_iter().flat_map(Result::unwrap).collect();
        kept.extend(polling.join().unwrap());
        kept
    })
}

fn interleave(steps: u64, hz: u32) {
    // One at a time: samples are counted for the whole process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tasks: [Arc<Task>; WAKING + 1] = std::array::from_fn(|_| Arc::default());
    let shared = Shared {
        agent: agent(hz),
        places: std::array::from_fn(|_| Mutex::default()),
        sent: std::array::from_fn(|_| AtomicU64::new(0)),
        is_over: AtomicBool::new(false),
    };
    let (before, began) = (shared.agent.stats().native, Instant::now());
    // Goes on where no tick has come in so many steps.
    let is_sampled = || shared.agent.stats().native.samples > before.samples;
    let mut kept = run(&shared, &tasks, steps, || hz == 0 || is_sampled() || began.elapsed() > LIMIT);
    let stats = shared.agent.stats();
    assert!(stats.await_sites > 0 && stats.stable_polls > 0, "the wakers were the agent's: {stats:#?}");
    assert_eq!(is_sampled(), hz > 0, "{stats:#?}");

    let Shared { agent, places, sent, .. } = shared;
    kept.extend(places.into_iter().filter_map(|place| place.into_inner().unwrap()));
    drop(agent);
    for Kept { waker, of } in kept {
        sent[of].fetch_add(2, Ordering::SeqCst);
        waker.wake_by_ref();
        waker.wake();
    }
    for (task, sent) in tasks.iter().zip(&sent) {
        assert_eq!(task.0.load(Ordering::SeqCst), sent.load(Ordering::SeqCst), "wakes that came, and that were sent");
        assert_eq!(Arc::strong_count(task), 1, "all wakers are gone");
    }
}

#[test]
fn random_interleavings_lose_no_wake_and_leak_no_node() {
    interleave(20_000, 0);
}

#[test]
fn random_interleavings_under_a_signal_each_200_us_lose_no_wake_and_leak_no_node() {
    interleave(20_000, HZ);
}

#[test]
#[ignore = "a million steps"]
fn a_million_random_interleavings_lose_no_wake_and_leak_no_node() {
    interleave(1_000_000, 0);
}

#[test]
#[ignore = "a million steps"]
fn a_million_random_interleavings_under_a_signal_each_200_us_lose_no_wake_and_leak_no_node() {
    interleave(1_000_000, HZ);
}
