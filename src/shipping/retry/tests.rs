use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::*;

const POLICY: RetryPolicy = RetryPolicy::DEFAULT;

fn dice(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The waits after so many failures in a row.
fn waits(failures: u32, seed: u64) -> Vec<Duration> {
    let (mut retry, now, mut dice) = (Retry::new(POLICY), Instant::now(), dice(seed));
    let mut wait = || {
        retry.failed(Failure::default(), now, &mut dice);
        retry.wait(now).map_or(Duration::ZERO, |until| until - now)
    };
    (0..failures).map(|_| wait()).collect()
}

#[test]
fn nothing_is_waited_for_before_a_failure_and_after_an_answer() {
    let (mut retry, now) = (Retry::new(POLICY), Instant::now());
    assert_eq!(retry.wait(now), None);
    retry.failed(Failure { delay: Some(secs(9)), ..Failure::default() }, now, &mut dice(1));
    assert_eq!(retry.wait(now), Some(now + secs(9)));
    assert_eq!(retry.wait(now + secs(9)), None);
    retry.succeeded();
    assert_eq!((retry.wait(now), retry.is_open()), (None, false));
}

#[test]
fn the_bound_of_the_wait_doubles_and_the_whole_range_is_drawn_from() {
    for (failure, bound) in [1, 2, 4, 8, 16].into_iter().enumerate() {
        let drawn: Vec<_> = (0..400).map(|seed| waits(5, seed)[failure]).collect();
        let (least, most) = (drawn.iter().min().copied(), drawn.iter().max().copied());
        assert!(most <= Some(secs(bound)) && most > Some(secs(bound) * 9 / 10), "{bound}: {most:?}");
        assert!(least < Some(secs(bound) / 10), "{bound}: {least:?}");
    }
}

#[test]
fn repeated_failures_open_the_circuit_and_it_is_never_tried_at_once_then() {
    for seed in 0..200 {
        let waits = waits(30, seed);
        assert!(waits[5..].iter().all(|wait| (secs(30)..=secs(60)).contains(wait)), "{waits:?}");
    }
    let (mut retry, now) = (Retry::new(POLICY), Instant::now());
    let opened: Vec<bool> = (0..7)
        .map(|_| {
            retry.failed(Failure::default(), now, &mut dice(1));
            retry.is_open()
        })
        .collect();
    assert_eq!(opened, [false, false, false, false, false, true, true]);
    retry.succeeded();
    assert!(!retry.is_open());
}

#[test]
fn a_key_that_is_not_accepted_is_waited_on_for_long() {
    let (mut retry, now) = (Retry::new(POLICY), Instant::now());
    retry.failed(Failure { is_denied: true, ..Failure::default() }, now, &mut dice(1));
    assert_eq!((retry.wait(now), retry.is_denied()), (Some(now + POLICY.denied), true));
}

#[test]
fn a_flush_does_not_wait_unless_the_destination_asked_for_it() {
    let (mut retry, now) = (Retry::new(POLICY), Instant::now());
    retry.failed(Failure { is_denied: true, ..Failure::default() }, now, &mut dice(1));
    retry.hurry();
    assert_eq!(retry.wait(now), None);
    retry.failed(Failure { delay: Some(secs(90)), ..Failure::default() }, now, &mut dice(1));
    retry.hurry();
    assert_eq!(retry.wait(now), Some(now + secs(90)));
}

#[test]
fn an_item_is_tried_for_a_quarter_of_an_hour() {
    let (retry, now) = (Retry::new(POLICY), Instant::now());
    assert!(!retry.is_over(now, now + secs(899)));
    assert!(retry.is_over(now, now + secs(900)));
    assert!(!retry.is_over(now + secs(5), now), "a clock that stands still, or went back, ends nothing");
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_the_longest_or_shorter_than_what_was_asked_for(
        failures in prop::collection::vec((any::<bool>(), prop::option::of(0_u64..2_000)), 1..60),
        seed in any::<u64>(),
    ) {
        let (mut retry, now, mut dice) = (Retry::new(POLICY), Instant::now(), dice(seed));
        for (is_denied, delay) in failures {
            let delay = delay.map(secs);
            retry.failed(Failure { delay, is_denied }, now, &mut dice);
            let wait = retry.wait(now).map_or(Duration::ZERO, |until| until - now);
            let longest = if is_denied { POLICY.denied } else { POLICY.longest };
            prop_assert!(wait <= longest.max(delay.unwrap_or_default()));
            prop_assert!(wait >= delay.unwrap_or_default());
        }
    }
}
