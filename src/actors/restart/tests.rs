use proptest::prelude::*;

use super::*;

fn ms(millis: u64) -> Nanos {
    Nanos(millis * 1_000_000)
}

fn after(millis: u64) -> Restart {
    Restart::After(Duration::from_millis(millis))
}

fn decide_all(policy: RestartPolicy, at_ms: &[u64]) -> Vec<Restart> {
    let mut log = RestartLog::new(policy);
    at_ms.iter().map(|&at| log.decide(ms(at))).collect()
}

#[test]
fn the_fourth_failure_within_the_period_gives_up() {
    let decisions = decide_all(RestartPolicy::DEFAULT, &[0, 1_000, 2_000, 5_000]);
    assert_eq!(decisions, [after(0), after(50), after(200), Restart::GiveUp]);
}

#[test]
fn a_failure_exactly_one_period_old_still_counts_and_an_older_one_does_not() {
    assert_eq!(decide_all(RestartPolicy::DEFAULT, &[10, 20, 30, 5_010])[3], Restart::GiveUp);
    assert_eq!(decide_all(RestartPolicy::DEFAULT, &[10, 20, 30, 5_011])[3], after(800));
}

#[test]
fn a_slow_crash_loop_waits_longer_each_time_up_to_the_longest_wait() {
    let decisions = decide_all(RestartPolicy::DEFAULT, &[0, 2_000, 4_000, 6_000, 8_000]);
    assert_eq!(decisions, [after(0), after(50), after(200), after(800), after(800)]);
}

#[test]
fn the_backoff_begins_anew_after_a_quiet_period_counted_from_the_restart() {
    assert_eq!(
        decide_all(RestartPolicy::DEFAULT, &[0, 100, 5_150])[2],
        after(200),
        "restarted at 150: 5 s are not over"
    );
    assert_eq!(decide_all(RestartPolicy::DEFAULT, &[0, 100, 5_151])[2], after(0));
}

#[test]
fn a_child_that_fails_as_soon_as_it_runs_reaches_the_intensity() {
    let mut log = RestartLog::new(RestartPolicy::DEFAULT);
    let mut now = Nanos::ZERO;
    for _ in 0..3 {
        let Restart::After(wait) = log.decide(now) else { panic!("gave up too early") };
        now = now.saturating_add(wait.into());
    }
    assert_eq!(log.decide(now), Restart::GiveUp);
}

#[test]
fn after_giving_up_it_never_restarts_again() {
    let decisions = decide_all(RestartPolicy::DEFAULT, &[0, 0, 0, 0, 3_600_000]);
    assert_eq!(decisions[3..], [Restart::GiveUp, Restart::GiveUp]);
}

#[test]
fn an_intensity_of_zero_gives_up_at_the_first_failure() {
    assert_eq!(decide_all(RestartPolicy { intensity: 0, ..RestartPolicy::DEFAULT }, &[7]), [Restart::GiveUp]);
}

#[test]
fn time_that_goes_back_does_not_empty_the_window() {
    let decisions = decide_all(RestartPolicy::DEFAULT, &[60_000, 50_000, 40_000, 30_000]);
    assert_eq!(decisions[3], Restart::GiveUp);
}

#[test]
fn waits_saturate_instead_of_overflowing() {
    let unbounded = Backoff { first: Duration::from_secs(1), factor: u32::MAX, longest: Duration::MAX };
    assert!(unbounded.wait(u32::MAX) > Duration::from_secs(u64::from(u32::MAX) - 1));
    assert_eq!(Backoff::DEFAULT.wait(u32::MAX), Duration::from_millis(800));
}

/// Decides from the whole history: nothing is forgotten, nothing is carried along.
fn naive(policy: RestartPolicy, failures: &[Nanos]) -> Vec<Restart> {
    let period = Nanos::from(policy.period).0;
    let mut restarts: Vec<(u64, u64, u32)> = Vec::new();
    let mut decisions = Vec::new();
    for &Nanos(now) in failures {
        let within = restarts.iter().filter(|(failed, ..)| now - failed <= period).count();
        if decisions.contains(&Restart::GiveUp) || within >= policy.intensity as usize {
            decisions.push(Restart::GiveUp);
            continue;
        }
        let in_a_row =
            restarts.last().map_or(0, |&(_, due, row)| if now.saturating_sub(due) > period { 0 } else { row + 1 });
        let factor = (1..in_a_row).fold(1_u64, |product, _| product.saturating_mul(u64::from(policy.backoff.factor)));
        let grown = policy.backoff.first.as_nanos().saturating_mul(u128::from(factor));
        let wait = if in_a_row == 0 { 0 } else { grown.min(policy.backoff.longest.as_nanos()) as u64 };
        restarts.push((now, now + wait, in_a_row));
        decisions.push(Restart::After(Duration::from_nanos(wait)));
    }
    decisions
}

proptest! {
    #[test]
    fn it_decides_as_the_naive_model_does(
        intensity in 0_u32..6,
        period in 0_u64..2_000,
        first in 0_u64..300,
        factor in 0_u32..5,
        longest in 0_u64..1_000,
        gaps in prop::collection::vec(prop_oneof![0_u64..40, 0_u64..1_500, 1_900_u64..6_000], 0..60),
    ) {
        let policy = RestartPolicy {
            intensity,
            period: Duration::from_millis(period),
            backoff: Backoff {
                first: Duration::from_millis(first),
                factor,
                longest: Duration::from_millis(longest),
            },
        };
        // An hour in: time zero is nobody's restart.
        let failures: Vec<Nanos> = gaps
            .iter()
            .scan(3_600_000, |at, gap| {
                *at += gap;
                Some(ms(*at))
            })
            .collect();
        let mut log = RestartLog::new(policy);
        let decisions: Vec<Restart> = failures.iter().map(|&now| log.decide(now)).collect();
        prop_assert_eq!(decisions, naive(policy, &failures));
        prop_assert!(log.recent.len() <= intensity as usize);
    }
}
