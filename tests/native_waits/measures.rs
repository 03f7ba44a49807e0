//! How right the times are, against measurements of their own.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use flame_on::Trace;
use tokio::sync::oneshot;

use super::{AGENT, short, trace, traced};

/// Time below all paths with `frame` in them.
fn time_in(trace: &Trace, frame: &str) -> Duration {
    let paths = trace.paths().filter(|(path, _)| path.split(';').any(|name| name.ends_with(frame)));
    paths.map(|(_, time)| time).sum()
}

/// One unit of work: some ten microseconds when optimised.
fn work(units: u64) -> u64 {
    (0..units * 10_000).fold(1, |value, step| black_box(value ^ step).wrapping_mul(6_364_136_223_846_793_005))
}

#[inline(never)]
fn takes_seven() {
    black_box(work(7));
}

#[inline(never)]
fn takes_two() {
    black_box(work(2));
}

#[inline(never)]
fn takes_one() {
    black_box(work(1));
}

/// In one poll, until there are 6,000 samples: then a difference of three points is five standard deviations, however
/// slow the machine is. Of those that could be had a quarter is enough, after the first 1,000.
async fn computes() {
    const ENOUGH: u64 = 6_000;
    let agent = &AGENT.0;
    let before = agent.stats().native;
    assert!(before.cpu_samples, "{before:#?}");
    let began = Instant::now();
    loop {
        let slice = Instant::now();
        while slice.elapsed() < Duration::from_millis(500) {
            takes_seven();
            takes_two();
            takes_one();
        }
        let native = agent.stats().native;
        let (samples, lost) = (native.samples - before.samples, native.samples_lost - before.samples_lost);
        assert!(lost <= 1_000 + 3 * samples && began.elapsed() < Duration::from_secs(300), "{native:#?}");
        if samples >= ENOUGH {
            return;
        }
    }
}

#[test]
fn cpu_time_is_divided_as_the_work_is() {
    let trace = trace(computes());
    let times = ["takes_seven", "takes_two", "takes_one"].map(|name| time_in(&trace, name).as_secs_f64());
    let all: f64 = times.iter().sum();
    let shares = times.map(|time| 100.0 * time / all);
    assert!(all > 0.9 * trace.duration().as_secs_f64(), "{all} s: {:#?}", trace.paths().collect::<Vec<_>>());
    for (share, expected) in shares.into_iter().zip([70.0, 20.0, 10.0]) {
        assert!((share - expected).abs() < 3.0, "{shares:?}");
    }
}

/// What is known of a wait: its begin, the wake and its end each came between two of the moments.
struct Seen {
    pended: Instant,
    poll_ended: Instant,
    before_wake: Instant,
    after_wake: Instant,
    poll_began: Instant,
    resumed: Instant,
}

/// Waits for another thread, and then for the only worker, which is busy. What is seen from outside of the trace is
/// filled in there.
async fn waits_for_both() -> Seen {
    let (sender, mut receiver) = oneshot::channel();
    let start = Instant::now();
    let answering = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        let before = Instant::now();
        sender.send(()).unwrap();
        (before, Instant::now())
    });
    tokio::spawn(async move { while start.elapsed() < Duration::from_millis(400) {} });
    let (mut pended, mut resumed) = (start, start);
    poll_fn(|cx| {
        let polled = Pin::new(&mut receiver).poll(cx);
        *if polled.is_pending() { &mut pended } else { &mut resumed } = Instant::now();
        polled
    })
    .await
    .unwrap();
    let (before_wake, after_wake) = answering.join().unwrap();
    Seen { pended, poll_ended: start, before_wake, after_wake, poll_began: start, resumed }
}

/// Runs `traced`, and sees its polls from outside.
async fn watched(traced: impl Future<Output = Seen>) -> Seen {
    let mut traced = pin!(traced);
    let mut ended = Instant::now();
    poll_fn(|cx| {
        let began = Instant::now();
        let polled = traced.as_mut().poll(cx);
        if polled.is_pending() {
            ended = Instant::now();
        }
        polled.map(|seen| Seen { poll_ended: ended, poll_began: began, ..seen })
    })
    .await
}

#[test]
fn sleep_and_queue_are_as_long_as_they_are_measured_to_be() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut seen = None;
    let trace = traced(|scope| seen = Some(runtime.block_on(watched(scope.run(waits_for_both())))));
    let Seen { pended, poll_ended, before_wake, after_wake, poll_began, resumed } = seen.unwrap();
    let queued = time_in(&trace, "QUEUE");
    let slept = time_in(&trace, "SLEEP").saturating_sub(queued);
    let is_within =
        |time: Duration, least: Duration, most: Duration| least * 99 / 100 <= time && time <= most * 101 / 100;
    let paths: Vec<_> = trace.paths().map(|(path, time)| (short(&path), time)).collect();
    assert!(is_within(slept, before_wake - poll_ended, after_wake - pended), "{slept:?} of {paths:#?}");
    assert!(is_within(queued, poll_began - after_wake, resumed - before_wake), "{queued:?} of {paths:#?}");
}
