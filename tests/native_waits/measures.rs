//! How right the times are, against measurements of their own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use flame_on::Trace;
use tokio::sync::oneshot;

use super::{short, trace, traced};

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

/// Until two seconds are over, and whatever the machine does meanwhile: the same rounds for all three.
async fn computes() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        takes_seven();
        takes_two();
        takes_one();
    }
}

#[test]
fn cpu_time_is_divided_as_the_work_is() {
    let trace = trace(computes());
    let times = ["takes_seven", "takes_two", "takes_one"].map(|name| time_in(&trace, name).as_secs_f64());
    let all: f64 = times.iter().sum();
    let shares = times.map(|time| 100.0 * time / all);
    assert!(all > 1.8, "{all} s of 2 were in the three functions: {:#?}", trace.paths().collect::<Vec<_>>());
    for (share, expected) in shares.into_iter().zip([70.0, 20.0, 10.0]) {
        assert!((share - expected).abs() < 3.0, "{shares:?}");
    }
}

/// Waits for another thread, and then for the only worker, which is busy. Says how long each took.
async fn waits_for_both(busy: impl FnOnce(Instant) + Send + 'static) -> (Duration, Duration) {
    let (sender, receiver) = oneshot::channel();
    let start = Instant::now();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        // Before the wake that comes with it.
        sender.send(Instant::now()).unwrap();
    });
    tokio::spawn(async move { busy(start) });
    let woken = receiver.await.unwrap();
    (woken - start, woken.elapsed())
}

#[test]
fn sleep_and_queue_are_as_long_as_they_are_measured_to_be() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut measured = (Duration::ZERO, Duration::ZERO);
    let busy = |start: Instant| while start.elapsed() < Duration::from_millis(400) {};
    let trace = traced(|scope| measured = runtime.block_on(scope.run(waits_for_both(busy))));
    let queued = time_in(&trace, "QUEUE");
    let slept = time_in(&trace, "SLEEP").saturating_sub(queued);
    let is_close = |time: Duration, measured: Duration| time.abs_diff(measured) < measured / 20;
    let paths: Vec<_> = trace.paths().map(|(path, time)| (short(&path), time)).collect();
    assert!(is_close(slept, measured.0) && is_close(queued, measured.1), "{measured:?}, {paths:#?}");
}
