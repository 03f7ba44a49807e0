//! What the sampler costs, in nanoseconds.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use super::Probe;
use super::host::{self, Manners, Ticking};
use crate::capture::native::registers::Registers;
use crate::capture::native::sampler::linux;
use crate::capture::native::unwind::{self, Cut};
use crate::model::stack::StackWord;

/// The rate limit lets so many samples through at once.
const BURST: usize = 50;
const ROUNDS: usize = 200;
/// The largest stack that is measured.
const MAX_BYTES: usize = 16 * 1024;
/// What a ring takes.
const MAX_RING: usize = 200 * 1024;

/// Entering and leaving a poll while the timer is armed: the median.
pub fn enter_and_leave(probe: &Probe) -> f64 {
    const POLLS: u32 = 20_000;
    let base = usize::try_from(Registers::here().sp).unwrap_or(0);
    // Around it a poll that keeps the timer armed.
    let _outer = probe.0.enter(1, base);
    median((0..ROUNDS).map(|_| {
        let begin = Instant::now();
        for _ in 0..POLLS {
            black_box(black_box(&probe.0).enter(2, base).leave());
        }
        per(begin.elapsed(), POLLS)
    }))
}

/// One run of the handler over a stack of `bytes` (16 KiB at most): the median. With the system call that arms the timer, and without
/// the kernel's part of a signal.
pub fn handler(probe: &Probe, bytes: usize) -> f64 {
    // So that there are as many bytes above the stack pointer.
    let _ballast = black_box([0u8; MAX_BYTES]);
    let base = usize::try_from(Registers::here().sp).unwrap_or(0).wrapping_add(bytes.min(MAX_BYTES));
    median((0..ROUNDS).map(|_| {
        probe.discard();
        // The limit fills up again.
        std::thread::sleep(Duration::from_millis(15));
        let _entered = probe.0.enter(1, base);
        let begin = Instant::now();
        let ticks = (0..BURST.min(MAX_RING / bytes.max(1))).filter(|_| linux::tick_by_hand()).count();
        per(begin.elapsed(), u32::try_from(ticks).unwrap_or(1).max(1))
    }))
}

/// Arming the timer, which is the greater part of a run of the handler: the median.
pub fn arm(probe: &Probe) -> f64 {
    const CALLS: u32 = 1_000;
    let base = usize::try_from(Registers::here().sp).unwrap_or(0);
    let _entered = probe.0.enter(1, base);
    median((0..ROUNDS).map(|_| {
        let begin = Instant::now();
        (0..CALLS).for_each(|_| linux::arm_by_hand());
        per(begin.elapsed(), CALLS)
    }))
}

/// Taking the stack of an await site that has so many frames, from the registers on, with warm caches: the median, and how
/// many frames were found.
pub fn await_site(frames: usize) -> (f64, usize) {
    unwind::refresh_modules();
    let base = usize::try_from(Registers::here().sp).unwrap_or(0);
    // The function that captures is none of them, and this one is beyond the cut.
    capture_at(frames, base)
}

#[inline(never)]
fn capture_at(depth: usize, base: usize) -> (f64, usize) {
    if depth > 0 {
        // Used afterwards, so that the call is none at its end.
        return black_box(capture_at(black_box(depth - 1), base));
    }
    const CAPTURES: u32 = 1_000;
    let (mut words, mut found) = ([StackWord(0); 128], 0);
    let cost = median((0..ROUNDS).map(|_| {
        let begin = Instant::now();
        for _ in 0..CAPTURES {
            found = unwind::callers_in_place(Registers::here(), Cut::Base(base), black_box(&mut words));
        }
        per(begin.elapsed(), CAPTURES)
    }));
    (cost, found)
}

/// What a tick costs the thread that is sampled, in nanoseconds of its CPU time: the handler, and what the kernel and a hypervisor do
/// for a timer and a signal. The median; not a finite number when the timer never fires.
pub fn tick(probe: &Probe) -> f64 {
    each_tick(&mut || {
        let ((), samples) = probe.poll(1, spin);
        probe.discard();
        samples.into()
    })
}

/// The same with a handler that only counts, `hz` times a second: what no sampler by timers and signals can go below.
///
/// # Errors
/// When the kernel gives no timer.
pub fn plain_tick(hz: u32) -> io::Result<f64> {
    const SIGNAL: libc::c_int = libc::SIGUSR1;
    let before = host::install_foreign(SIGNAL, Manners::Eats);
    let mut failure = None;
    let cost = each_tick(&mut || {
        let calls = host::foreign_calls();
        let ticking = Ticking::every(SIGNAL, Duration::from_secs(1) / hz);
        spin();
        match ticking {
            Ok(ticking) => drop(ticking),
            Err(error) => failure = Some(error),
        }
        host::foreign_calls() - calls
    });
    before.restore();
    failure.map_or(Ok(cost), Err)
}

/// The CPU time of `spin` with ticks in it less that without, over how many there were.
fn each_tick(with_ticks: &mut dyn FnMut() -> u64) -> f64 {
    let mut ticks = 0;
    let timed = |work: &mut dyn FnMut()| {
        let begin = host::thread_cpu();
        work();
        (host::thread_cpu() - begin).as_nanos() as f64
    };
    let rounds = (0..ROUNDS).map(|_| timed(&mut || ticks += with_ticks()) - timed(&mut spin)).collect::<Vec<_>>();
    median(rounds.into_iter()) * ROUNDS as f64 / ticks as f64
}

/// Some ten milliseconds of work.
fn spin() {
    black_box(
        (0..8_000_000u64).fold(1, |value: u64, step| black_box(value ^ step).wrapping_mul(6_364_136_223_846_793_005)),
    );
}

fn per(elapsed: Duration, count: u32) -> f64 {
    elapsed.as_nanos() as f64 / f64::from(count)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
