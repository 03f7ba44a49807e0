//! How much a trace captures at most, and that leaves past the bounds share one waker.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::poll_fn;
use std::pin::pin;
use std::process::Command;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{
    Config, FlameOn, NativeCapture, NativeStats, ShipContext, ShipError, ShipperAdapter, TraceBatch, UnitSettings,
};

/// What the documentation of the bounds says.
const SITES_A_POLL: usize = 16;
const SITES_A_TRACE: u64 = 2_000;
const FREE_SITES: u64 = 64;
const STABLE_POLLS: usize = 16;
/// For each leaf that is refused.
const POLLS_A_LEAF: usize = 4;
/// Those that are refused have no more polls than these.
const LEAVES: usize = SITES_A_POLL + STABLE_POLLS / POLLS_A_LEAF;

fn agent() -> TestAgent {
    // Without samples: nothing else is to be captured.
    TestAgent::with(|config| config.native_capture(NativeCapture::On).cpu_sample_hz(0)).unwrap()
}

struct Nowhere;

impl ShipperAdapter<TraceBatch> for Nowhere {
    async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        Ok(())
    }
}

/// Polls a traced future, `each` with the waker that it is given, until that is enough.
fn poll(agent: &FlameOn, mut each: impl FnMut(&Waker) -> bool) {
    let mut is_enough = false;
    let work = poll_fn(|cx| {
        is_enough |= each(cx.waker());
        if is_enough { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut work = pin!(agent.unit("test", || "one").run(work));
    while work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}

#[test]
fn the_status_says_how_often_threads_are_sampled() {
    // Ends a test that waits for what never comes.
    const LIMIT: Duration = Duration::from_secs(60);
    let rate = |agent: &TestAgent| (agent.stats().native.sample_hz, agent.stats().native.status);
    let written = TestAgent::with(|config| config.native_capture(NativeCapture::On).cpu_sample_hz(1_234)).unwrap();
    let (hz, status) = rate(&written);
    assert!(hz == 1_234 && status.contains("CPU samples (1234 a second, SIGURG)"), "{hz}: {status}");
    drop(written);

    let begin = Instant::now();
    // Again where ticks come too late to be measured.
    let known = std::iter::repeat_with(measured).find_map(|stats| {
        assert!(begin.elapsed() < LIMIT, "{stats:?}");
        (stats.tick_nanos > 0).then_some(stats)
    });
    let NativeStats { sample_hz, tick_nanos, status, .. } = known.unwrap();
    assert_eq!(u64::from(sample_hz), (1_000_000_000 / (200 * tick_nanos)).clamp(99, 997));
    let why = if sample_hz < 997 { ": a tick takes " } else { ")" };
    assert!(status.contains(&format!("CPU samples ({sample_hz} a second, SIGURG{why}")), "{status}");
}

/// Of an agent whose rate nobody has written, after a while.
fn measured() -> NativeStats {
    let builder = Config::builder().ignore_env().process_default(false).capture(true).shipper(Nowhere);
    let agent = FlameOn::start(builder.native_capture(NativeCapture::On).build().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    agent.stats().native
}

#[test]
fn leaves_past_the_bound_of_a_poll_share_the_waker_of_the_polls_that_follow() {
    let agent = agent();
    let mut kept = Vec::new();
    let mut polls = 0;
    poll(&agent, |waker| {
        polls += 1;
        if polls == 1 {
            kept = (0..LEAVES).map(|_| waker.clone()).collect();
            let (captured, shared) = kept.split_at(SITES_A_POLL);
            let alike = |one: &Waker| kept.iter().filter(|other| one.will_wake(other)).count();
            assert!(captured.iter().all(|waker| alike(waker) == 1), "each has its own");
            assert!(shared.iter().all(|waker| alike(waker) == LEAVES - SITES_A_POLL), "they have one");
        } else {
            let is_shared = polls <= 1 + STABLE_POLLS;
            assert_eq!(
                waker.will_wake(&kept[LEAVES - 1]),
                is_shared,
                "poll {polls}: whether nobody need register again"
            );
        }
        polls == 2 + STABLE_POLLS
    });
    let stats = agent.stats();
    assert_eq!((stats.await_sites, stats.await_sites_bounded), (SITES_A_POLL as u64, (LEAVES - SITES_A_POLL) as u64));
    assert_eq!(stats.stable_polls, STABLE_POLLS as u64);
}

/// Polls with the shared waker after a poll that `leaves` wait in; `each` gets it, and how many such polls there were with
/// this one.
fn shared_polls(leaves: usize, mut each: impl FnMut(&Waker, usize)) -> usize {
    let agent = agent();
    let (mut kept, mut shared) = (Vec::new(), 0);
    poll(&agent, |waker| {
        let is_first = kept.is_empty();
        if is_first {
            kept = (0..leaves).map(|_| waker.clone()).collect();
        }
        let is_shared = kept.last().is_some_and(|last| waker.will_wake(last));
        if is_shared {
            shared += 1;
            each(waker, shared);
        }
        !is_first && !is_shared
    });
    assert_eq!(agent.stats().stable_polls, shared as u64);
    shared
}

#[test]
fn leaves_that_register_twice_share_their_waker_for_four_times_as_many_polls() {
    for (leaves, polls) in [(SITES_A_POLL + 1, STABLE_POLLS), (SITES_A_POLL + 5, 20), (100, 336), (1_000, 3_936)] {
        assert_eq!(shared_polls(leaves, |_, _| ()), polls);
    }
}

#[test]
fn a_leaf_that_comes_later_has_captures_begin_again() {
    let mut later = Vec::new();
    // Those that were captured before register in the first polls: no news.
    let shared = shared_polls(1_000, |waker, poll| {
        if poll < STABLE_POLLS || poll == 40 {
            later.push(waker.clone());
        }
    });
    assert_eq!(shared, 40);
    let only_in_the_first = |waker: &Waker, poll| {
        if poll < STABLE_POLLS {
            drop(waker.clone());
        }
    };
    assert_eq!(shared_polls(1_000, only_in_the_first), POLLS_A_LEAF * (1_000 - SITES_A_POLL));
}

#[test]
fn a_discarded_trace_counts_the_same_events_as_one_that_is_read() {
    let events_of_a_trace = |threshold| {
        let builder = Config::builder().ignore_env().process_default(false).capture(true).shipper(Nowhere);
        let builder = builder.sample_rate(1.0).event("test", UnitSettings::new().threshold(threshold));
        let builder = builder.native_capture(NativeCapture::On).cpu_sample_hz(0);
        let agent = FlameOn::start(builder.build().unwrap()).unwrap();
        let mut polls = 0;
        poll(&agent, |waker| {
            drop(waker.clone());
            polls += 1;
            polls == 5
        });
        agent.flush_blocking(Duration::from_secs(60));
        let stats = agent.stats();
        (stats.events, stats.await_sites, stats.below_threshold)
    };
    let (events, sites, _) = events_of_a_trace(Duration::ZERO);
    assert!(sites > 0);
    assert_eq!(events_of_a_trace(Duration::from_secs(3_600)), (events, sites, 1));
}

#[test]
fn captures_take_a_part_of_the_trace_s_own_time_and_no_more_than_2_000_are_made() {
    let agent = agent();
    // Nothing but captures: they would take far more than a twentieth. All of the time counts, also what the thread is put
    // aside for, and each of the first, which are free, shows what one takes.
    let (mut polls, mut cheapest) = (0, Duration::MAX);
    let begun = Instant::now();
    poll(&agent, |waker| {
        let capturing = Instant::now();
        drop(waker.clone());
        if polls < FREE_SITES {
            cheapest = cheapest.min(capturing.elapsed());
        }
        polls += 1;
        polls == 1_000
    });
    let idle = agent.stats();
    // Twice: a waker's clone takes more than its capture.
    let paid_for = 2 * (begun.elapsed() / 20).as_nanos() / cheapest.as_nanos();
    let most = (u128::from(FREE_SITES) + 1 + paid_for).min(1_000);
    assert!((u128::from(FREE_SITES)..=most).contains(&idle.await_sites.into()), "{most} at most: {idle:#?}");
    assert!(most == 1_000 || idle.stable_polls > 0, "{idle:#?}");
    // Time enough for each.
    polls = 0;
    poll(&agent, |waker| {
        let begun = Instant::now();
        drop(waker.clone());
        let capture = begun.elapsed();
        while begun.elapsed() < 40 * capture {
            std::hint::spin_loop();
        }
        polls += 1;
        polls == SITES_A_TRACE + 1_000
    });
    let stats = agent.stats();
    assert_eq!(stats.await_sites - idle.await_sites, SITES_A_TRACE, "{stats:#?}");
    assert!(stats.await_sites_bounded > idle.await_sites_bounded, "{stats:#?}");
}

/// Runs the test `name` in a process of its own, which the kernel may be made to give no timers; true in there.
fn is_alone(name: &str) -> bool {
    const ALONE: &str = "FLAME_ON_TEST_IS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name]).env(ALONE, "").output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[test]
fn threads_that_get_no_timer_ask_for_it_once() {
    if !is_alone("threads_that_get_no_timer_ask_for_it_once") {
        return;
    }
    let agent = TestAgent::with(|config| config.native_capture(NativeCapture::On).cpu_sample_hz(997)).unwrap();
    flame_on::__sampler::host::forbid_timers();
    let turns = Barrier::new(2);
    let polls = || {
        (0..50).for_each(|_| {
            turns.wait();
            poll(&agent, |_| true)
        })
    };
    std::thread::scope(|scope| {
        [scope.spawn(polls), scope.spawn(polls)].into_iter().for_each(|thread| thread.join().unwrap())
    });
    let native = agent.stats().native;
    assert_eq!((native.cpu_samples, native.threads_failed, native.samples), (true, 2, 0), "{native:#?}");
}

#[test]
fn without_timers_there_are_await_sites_and_the_status_says_what_to_look_at() {
    if !is_alone("without_timers_there_are_await_sites_and_the_status_says_what_to_look_at") {
        return;
    }
    flame_on::__sampler::host::forbid_timers();
    let agent = TestAgent::with(|config| config.native_capture(NativeCapture::On)).unwrap();
    let native = agent.stats().native;
    assert!(native.await_sites && !native.cpu_samples, "{native:#?}");
    assert!(native.status.contains("no CPU samples: cannot create a timer"), "{}", native.status);
    assert!(native.status.contains("timer_create") && native.status.contains("RLIMIT_SIGPENDING"), "{}", native.status);
    let mut polls = 0;
    poll(&agent, |waker| {
        drop(waker.clone());
        polls += 1;
        polls > 3
    });
    assert!(agent.stats().await_sites > 0, "{:#?}", agent.stats());
}
