//! The sampler by itself: real timers, real signals. A binary of its own, since all of it is the whole process's.
#![cfg(all(native_capture, feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "what was measured is worth seeing")]

use std::hint::black_box;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flame_on::__sampler::host::thread_cpu;
use flame_on::__sampler::{Counts, Probe, Sample, host};
use flame_on::CpuSignal;

#[path = "sampler/handlers.rs"]
mod handlers;
#[path = "sampler/rate.rs"]
mod rate;
mod sampler_common;
use sampler_common::{LIMIT, alone, burn, code_of, poll_until, timers};

const HZ: u32 = 997;
const MAX_THREADS: usize = 64;
const SIGURG: i32 = 23;
const SIGPROF: i32 = 27;

fn start() -> Probe {
    start_on(CpuSignal::Urg)
}

fn start_on(signal: CpuSignal) -> Probe {
    Probe::start(HZ, signal, MAX_THREADS).unwrap()
}

/// In a thread of its own, which begins with no slot.
fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// Until a tick has come outside of polls, or was taken back: then no further one is on its way.
fn let_the_timer_rest(probe: &Probe) {
    let (before, begin) = (Counts::now(), Instant::now());
    while {
        let counts = Counts::now().since(before);
        counts.idle_ticks + counts.stopped == 0
    } && begin.elapsed() < LIMIT
    {
        probe.poll(1, || ());
        burn(Duration::from_millis(3));
    }
}

macro_rules! function {
    ($name:ident) => {
        #[inline(never)]
        fn $name(amount: Duration) -> u64 {
            // Not the same code as the others, which a linker may fold into one.
            black_box(burn(amount)).wrapping_add(black_box(stringify!($name).as_ptr() as u64))
        }
    };
}

function!(seventy);
function!(twenty);
function!(ten);

#[test]
fn a_split_of_processor_time_comes_out_within_three_points() {
    alone(|| {
        let probe = start();
        let work: [fn(Duration) -> u64; 3] = [seventy, twenty, ten];
        let mut used = [Duration::ZERO; 3];
        let mut samples: Vec<Sample> = Vec::new();
        // 2 s of the thread's time, in rounds of 25 ms.
        for _ in 0..80 {
            probe.poll(1, || {
                for ((function, amount), used) in work.iter().zip([17_500, 5_000, 2_500]).zip(&mut used) {
                    let begin = thread_cpu();
                    black_box(function(Duration::from_micros(amount)));
                    *used += thread_cpu() - begin;
                }
            });
            samples.extend(probe.drain());
        }
        let code = work.map(|function| code_of(function as *const ()));
        let hits =
            code.map(|code| samples.iter().filter(|sample| sample.frames.iter().any(|at| code.contains(at))).count());
        let (all_used, all_hits) = (used.iter().sum::<Duration>(), hits.iter().sum::<usize>());
        println!("{} samples for {all_used:?}: {hits:?} of {used:?}; {:?}", samples.len(), Counts::now());
        assert!(all_hits * 100 >= samples.len() * 97, "{all_hits} of {} samples are in the three", samples.len());
        assert!(all_hits > 400, "2 s at 1 kHz gave {all_hits} samples");
        for (hits, used) in hits.iter().zip(used) {
            let (found, expected) = (*hits as f64 / all_hits as f64, used.as_secs_f64() / all_used.as_secs_f64());
            assert!((found - expected).abs() < 0.03, "{found:.3} for {expected:.3}");
        }
    });
}

#[inline(never)]
fn beyond_the_cut(probe: &Probe, samples: &mut Vec<Sample>) -> u64 {
    let (sum, _) = probe.poll(7, || (0..20).map(recursive).fold(0, u64::wrapping_add));
    samples.extend(probe.drain());
    black_box(sum)
}

#[inline(never)]
fn recursive(depth: u32) -> u64 {
    if depth == 0 { seventy(Duration::from_micros(300)) } else { black_box(recursive(depth - 1)).wrapping_add(1) }
}

#[test]
fn every_stack_ends_at_the_poll_and_nothing_of_its_callers_is_in_it() {
    alone(|| {
        let (probe, mut samples, begin) = (start(), Vec::new(), Instant::now());
        while samples.len() < 300 && begin.elapsed() < LIMIT {
            beyond_the_cut(&probe, &mut samples);
        }
        let (beyond, recursive) = (code_of(beyond_the_cut as *const ()), code_of(recursive as *const ()));
        let whole = samples.iter().filter(|sample| sample.reaches_the_poll()).count();
        assert!(whole * 100 >= samples.len() * 99, "{whole} of {} reach the poll", samples.len());
        for sample in &samples {
            let callers = sample.frames.get(1..).unwrap_or(&[]);
            assert!(!callers.iter().any(|at| beyond.contains(at)), "{sample:x?}");
            assert!(sample.places.is_sorted_by(|inner, outer| inner >= outer), "{sample:x?}");
            assert!(!sample.is_foreign_stack && !sample.is_truncated && sample.label == 7, "{sample:x?}");
        }
        assert!(samples.iter().any(|sample| sample.frames.iter().filter(|at| recursive.contains(at)).count() > 10));
    });
}

#[test]
fn polls_nest_and_each_sample_belongs_to_the_innermost() {
    alone(|| {
        let (probe, begin) = (start(), Instant::now());
        let (mut inside, mut outside) = (0, 0);
        while (inside < 50 || outside < 50) && begin.elapsed() < LIMIT {
            let (inner, outer) = probe.poll(1, || {
                burn(Duration::from_millis(1));
                let (_, inner) = probe.poll(2, || burn(Duration::from_millis(1)));
                burn(Duration::from_millis(1));
                inner
            });
            (inside, outside) = (inside + inner, outside + outer);
            let labels: Vec<u64> = probe.drain().iter().map(|sample| sample.label).collect();
            let of = |label| labels.iter().filter(|own| **own == label).count() as u32;
            assert_eq!((of(2), of(1), labels.len() as u32), (inner, outer, inner + outer));
        }
        assert!(inside >= 50 && outside >= 50, "{inside} {outside}");
    });
}

#[test]
fn a_drain_after_the_end_of_a_poll_has_all_of_its_samples() {
    alone(|| {
        let probe = start();
        let mut drained = 0;
        let counted = poll_until(&probe, 3, |taken| {
            drained += probe.discard();
            assert_eq!(drained as u32, taken);
            taken > 100
        });
        assert!(counted > 100);
    });
}

#[test]
fn two_agents_get_their_own_samples_whoever_drains_first() {
    alone(|| {
        let (first, second) = (start(), start());
        let (mut of_first, mut of_second) = (0, 0);
        let drain = |probe: &Probe, label| probe.drain().iter().filter(|sample| sample.label == label).count() as u32;
        let (mut drained_first, mut drained_second) = (0, 0);
        for round in 0..6 {
            of_first += poll_until(&first, 1, |taken| taken >= 10);
            of_second += poll_until(&second, 2, |taken| taken >= 10);
            if round % 2 == 0 {
                drained_first += drain(&first, 1);
            } else {
                drained_second += drain(&second, 2);
            }
        }
        drained_first += drain(&first, 1);
        drop(first);
        of_second += poll_until(&second, 2, |taken| taken >= 10);
        drained_second += drain(&second, 2);
        assert_eq!((drained_first, drained_second), (of_first, of_second));
    });
}

#[test]
fn what_an_agent_has_not_fetched_takes_no_room_from_the_next_one() {
    alone(|| {
        let (probe, before) = (start(), Counts::now());
        poll_until(&probe, 1, |_| Counts::now().since(before).ring_full > 0);
        assert!(Counts::now().since(before).ring_full > 0);
        drop(probe);
        let probe = start();
        assert!(poll_until(&probe, 1, |taken| taken >= 5) >= 5);
    });
}

/// A tick outside of polls wakes a thread for nothing.
#[test]
fn polls_with_pauses_between_them_are_sampled_and_the_pauses_are_left_alone() {
    alone(|| {
        let probe = start();
        in_thread(|| {
            let (mut taken, before) = (0, Counts::now());
            for _ in 0..200 {
                taken += probe.poll(1, || burn(Duration::from_micros(500))).1;
                std::thread::sleep(Duration::from_millis(3));
            }
            let counts = Counts::now().since(before);
            assert!(counts.idle_ticks < 20 && counts.stopped > 20, "{counts:?}");
            // Of 100 ms at 1 kHz, each with its probability; half of that is far outside of chance.
            assert!(taken > 50, "{taken} samples, {counts:?}");
        });
    });
}

#[test]
fn outside_of_polls_the_timer_rests() {
    alone(|| {
        let probe = start();
        in_thread(|| {
            assert!(poll_until(&probe, 1, |taken| taken >= 10) >= 10);
            let before = Counts::now();
            burn(Duration::from_millis(200));
            let counts = Counts::now().since(before);
            assert!(counts.idle_ticks <= 1 && counts.taken == 0, "{counts:?}");
            assert!(poll_until(&probe, 1, |taken| taken >= 10) >= 10, "the next poll arms it again");
        });
    });
}

#[test]
fn threads_that_end_leave_neither_timers_nor_slots() {
    alone(|| {
        let Some(before) = timers() else { return println!("the kernel lists no timers here") };
        let probe = start();
        for _ in 0..50 {
            std::thread::scope(|scope| {
                let poll = || probe.poll(1, || burn(Duration::from_millis(1)));
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(poll)).collect();
                // The scope itself waits for the closures, and not for what comes after them.
                threads.into_iter().for_each(|thread| assert_ne!(thread.join().unwrap().0, 0));
            });
            probe.discard();
        }
        in_thread(|| {
            probe.poll(1, || assert!(timers().unwrap() > before, "a thread in a poll has one"));
        });
        assert_eq!(timers(), Some(before));
        assert!(Counts::now().slots <= 8 && Counts::now().slots_in_use == 0, "{:?}", Counts::now());
    });
}

/// What handles the signal while there is no agent; `None` where it is our handler, which stays for a tick that may still come.
/// After an agent that came and went: an earlier test's may have found no time to take it away.
fn handler_without_agents(signal: CpuSignal, number: i32) -> Option<usize> {
    let begin = Instant::now();
    loop {
        let probe = start_on(signal);
        let ours = host::Disposition::of(number).handler();
        drop(probe);
        let left = host::Disposition::of(number).handler();
        if left != ours {
            return Some(left);
        }
        if Probe::has_late_ticks() {
            return None;
        }
        assert!(begin.elapsed() < LIMIT, "it was not taken away: {:?}", Counts::now());
    }
}

#[test]
fn the_last_agent_takes_timers_and_handler_away_and_the_next_one_starts_anew() {
    alone(|| {
        for signal in [CpuSignal::Urg, CpuSignal::Prof, CpuSignal::Usr1] {
            let number = match signal {
                CpuSignal::Urg => SIGURG,
                CpuSignal::Prof => SIGPROF,
                _ => 10,
            };
            let (handler, count) = (handler_without_agents(signal, number), timers());
            // Its thread goes on, as a runtime's does.
            let (to_thread, polls) = std::sync::mpsc::channel::<std::sync::Arc<Probe>>();
            let (to_test, done) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                for probe in polls {
                    let taken = poll_until(&probe, 1, |taken| taken >= 20);
                    let_the_timer_rest(&probe);
                    drop(probe);
                    to_test.send(taken).unwrap();
                }
            });
            for _ in 0..3 {
                let probe = std::sync::Arc::new(start_on(signal));
                let ours = host::Disposition::of(number).handler();
                assert_ne!(Some(ours), handler);
                to_thread.send(probe.clone()).unwrap();
                assert!(done.recv().unwrap() >= 20, "{:?}", Counts::now());
                drop(probe);
                // Ours stays if a thread that was put aside has left a tick on its way.
                let left = handler.filter(|_| !Probe::has_late_ticks()).unwrap_or(ours);
                assert_eq!((host::Disposition::of(number).handler(), timers()), (left, count), "{signal:?}");
            }
            drop(to_thread);
            thread.join().unwrap();
        }
    });
}

#[test]
fn past_the_limit_threads_run_without_samples_until_another_ends() {
    alone(|| {
        let probe = Probe::start(HZ, CpuSignal::Urg, 1).unwrap();
        let before = Counts::now();
        let (is_over, is_refused) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                probe.poll(1, || {
                    while !is_refused.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                });
                is_over.store(true, Ordering::Relaxed);
            });
            while Counts::now().slots_in_use == 0 {
                std::thread::yield_now();
            }
            scope.spawn(|| {
                let (_, taken) = probe.poll(2, || burn(Duration::from_millis(50)));
                probe.poll(2, || burn(Duration::from_millis(50)));
                assert_eq!((taken, Counts::now().since(before).threads_refused), (0, 1));
                is_refused.store(true, Ordering::Relaxed);
                assert!(poll_until(&probe, 2, |taken| taken >= 10) >= 10, "it got the other's place");
            });
        });
        assert!(is_over.load(Ordering::Relaxed));
    });
}

#[test]
fn on_another_stack_there_is_the_instruction_alone() {
    alone(|| {
        let (probe, mut samples, begin) = (start(), Vec::new(), Instant::now());
        while samples.len() < 50 && begin.elapsed() < LIMIT {
            probe.poll(1, || stacker::grow(64 * 1024, || seventy(Duration::from_millis(2))));
            samples.extend(probe.drain().into_iter().filter(|sample| sample.is_foreign_stack));
        }
        assert!(samples.len() >= 50, "{:?}", Counts::now());
        assert!(samples.iter().all(|sample| sample.frames.len() == 1));
    });
}

#[test]
fn on_an_alternate_stack_there_is_the_instruction_alone() {
    alone(|| {
        let (probe, mut samples, begin) = (start(), Vec::new(), Instant::now());
        while samples.len() < 50 && begin.elapsed() < LIMIT {
            probe.poll(1, || host::on_alternate_stack(&mut || assert_ne!(burn(Duration::from_millis(2)), 0)).unwrap());
            samples.extend(probe.drain().into_iter().filter(|sample| sample.is_foreign_stack));
        }
        assert!(samples.len() >= 50, "{:?}", Counts::now());
    });
}

#[test]
fn a_wrong_base_costs_the_stack_and_nothing_else() {
    alone(|| {
        let probe = start();
        let local = 0u8;
        let here = std::ptr::from_ref(&local).addr();
        for base in [0, 1, 8, here - 1_000_000, here + 7, usize::MAX, usize::MAX & !7, 1 << 47, 1 << 63] {
            let taken = Counts::now().taken;
            let begin = Instant::now();
            while Counts::now().taken < taken + 5 && begin.elapsed() < LIMIT {
                probe.poll_with_base(1, base, || burn(Duration::from_millis(2)));
                probe.discard();
            }
            assert!(Counts::now().taken >= taken + 5, "{base:#x}: {:?}", Counts::now());
        }
    });
}

#[test]
fn of_a_deep_stack_the_innermost_64_kib_are_kept() {
    alone(|| {
        #[inline(never)]
        fn deep(levels: u32) -> u64 {
            let ballast = black_box([levels; 128]);
            let below = if levels == 0 { seventy(Duration::from_millis(2)) } else { deep(levels - 1) };
            below.wrapping_add(u64::from(black_box(ballast)[5]))
        }
        let (probe, mut samples, begin) = (start(), Vec::new(), Instant::now());
        while samples.len() < 20 && begin.elapsed() < LIMIT {
            probe.poll(1, || deep(400));
            samples.extend(probe.drain().into_iter().filter(|sample| sample.is_truncated));
        }
        let code = code_of(deep as *const ());
        assert!(samples.len() >= 20);
        for sample in samples {
            assert!(!sample.reaches_the_poll());
            let levels = sample.frames.iter().filter(|at| code.contains(at)).count();
            assert!((10..128).contains(&levels), "{levels} levels of at least 512 bytes");
        }
    });
}

#[test]
fn errors_of_system_calls_are_not_disturbed() {
    alone(|| {
        let probe = start();
        let taken = poll_until(&probe, 1, |taken| taken >= 10);
        let before = Counts::now();
        let (_, more) = probe.poll(1, || {
            let begin = Instant::now();
            let is_enough = || Counts::now().since(before).taken > 10 || begin.elapsed() > LIMIT;
            while begin.elapsed() < Duration::from_millis(300) || !is_enough() {
                let error = std::fs::File::open("/nowhere").unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
            }
        });
        assert!(taken >= 10 && more > 10, "{taken} {more}");
    });
}

#[test]
fn a_forked_child_is_not_sampled_and_cannot_start() {
    alone(|| {
        static PROBE: RwLock<Option<Probe>> = RwLock::new(None);

        fn in_child() -> bool {
            let Ok(probe) = PROBE.try_read() else { return false };
            let Some(probe) = &*probe else { return false };
            let before = Counts::now();
            let (_, taken) = probe.poll(1, || burn(Duration::from_millis(50)));
            let has_started = Probe::start(HZ, CpuSignal::Urg, MAX_THREADS).is_ok();
            taken == 0 && Counts::now().since(before).taken == 0 && !has_started
        }

        *PROBE.write().unwrap() = Some(start());
        {
            let probe = PROBE.read().unwrap();
            let probe = probe.as_ref().unwrap();
            assert!(poll_until(probe, 1, |taken| taken >= 5) >= 5);
            assert!(probe.poll(1, || host::in_child(in_child).unwrap()).0);
            assert!(poll_until(probe, 1, |taken| taken >= 5) >= 5, "the parent goes on");
        }
        *PROBE.write().unwrap() = None;
    });
}
