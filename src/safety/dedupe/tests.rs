use std::collections::HashMap;
use std::sync::Barrier;

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(60);

fn key(n: usize) -> IdentifierKey {
    IdentifierKey::of(&n.to_string())
}

fn secs(seconds: u64) -> Nanos {
    Nanos(seconds * 1_000_000_000)
}

fn table() -> DedupeTable {
    DedupeTable::new(WINDOW, 10_000)
}

fn claim(table: &DedupeTable, n: usize, at: Nanos) -> Claim {
    table.claim(key(n), at).expect("an open window")
}

/// Both halves hold the same entries.
fn is_sound(table: &DedupeTable) -> bool {
    let order = table.0.order();
    order.oldest_first.len() == table.0.closed.len()
        && order.oldest_first.iter().all(|(key, closed)| {
            table.0.closed.get(key).is_some_and(|entry| (entry.since, entry.claim) == (closed.since, closed.claim))
        })
}

#[test]
fn a_claimed_window_is_closed_until_it_is_exactly_its_length_old() {
    let table = table();
    assert!(!table.is_closed(key(1), secs(100)));
    let _shipped = claim(&table, 1, secs(100));
    assert!(table.is_closed(key(1), secs(100)));
    assert!(table.is_closed(key(1), Nanos(secs(160).0 - 1)));
    assert!(table.claim(key(1), Nanos(secs(160).0 - 1)).is_none());
    assert!(!table.is_closed(key(1), secs(160)));
    assert!(table.claim(key(1), secs(160)).is_some());
}

#[test]
fn identifiers_do_not_close_each_others_windows() {
    let table = table();
    let _shipped = claim(&table, 1, secs(0));
    assert!(!table.is_closed(key(2), secs(0)));
    assert!(table.claim(key(2), secs(0)).is_some());
}

#[test]
fn a_released_claim_opens_the_window_again() {
    let table = table();
    claim(&table, 1, secs(0)).release();
    assert!(!table.is_closed(key(1), secs(0)));
    assert_eq!(table.len(), 0);
    assert!(table.claim(key(1), secs(0)).is_some());
}

#[test]
fn a_dropped_claim_leaves_the_window_closed() {
    let table = table();
    drop(claim(&table, 1, secs(0)));
    assert!(table.is_closed(key(1), secs(1)));
}

#[test]
fn an_old_claim_does_not_open_the_window_of_a_later_one() {
    let table = table();
    let old = claim(&table, 1, secs(0));
    let _later = claim(&table, 1, secs(60));
    old.release();
    assert!(table.is_closed(key(1), secs(61)));
    assert!(is_sound(&table));
}

#[test]
fn at_the_bound_the_expired_go_first_and_nothing_is_evicted() {
    let table = DedupeTable::new(WINDOW, 3);
    for n in 0..3 {
        drop(claim(&table, n, secs(n as u64)));
    }
    drop(claim(&table, 9, secs(61)));
    assert_eq!((table.len(), table.evicted()), (2, 0));
    assert!(table.is_closed(key(2), secs(61)));
}

#[test]
fn a_full_table_evicts_the_oldest_window_and_counts_it() {
    let table = DedupeTable::new(WINDOW, 3);
    for n in 0..5 {
        drop(claim(&table, n, secs(n as u64)));
    }
    assert_eq!((table.len(), table.evicted()), (3, 2));
    let closed: Vec<_> = (0..5).map(|n| table.is_closed(key(n), secs(5))).collect();
    assert_eq!(closed, [false, false, true, true, true]);
}

#[test]
fn the_claim_of_an_evicted_window_releases_nothing() {
    let table = DedupeTable::new(WINDOW, 1);
    let evicted = claim(&table, 1, secs(0));
    let _second = claim(&table, 2, secs(1));
    let _first_again = claim(&table, 1, secs(2));
    evicted.release();
    assert!(table.is_closed(key(1), secs(3)));
}

#[test]
fn a_lowered_bound_is_met_at_the_next_sweep() {
    let table = table();
    for n in 0..10 {
        drop(claim(&table, n, secs(0)));
    }
    table.set_max_identifiers(4);
    assert_eq!(table.sweep(secs(0)), 6);
    assert!(table.is_closed(key(9), secs(0)));
    table.set_max_identifiers(0);
    assert!(table.claim(key(20), secs(0)).is_some(), "a bound of 0 counts as 1");
    assert_eq!(table.len(), 1);
}

#[test]
fn a_sweep_removes_exactly_what_has_expired() {
    let table = table();
    for n in 0..50 {
        drop(claim(&table, n, secs(n as u64)));
    }
    assert_eq!(table.sweep(secs(84)), 25, "those of 0 to 24 s");
    assert_eq!((table.len(), table.sweep(secs(84))), (25, 0));
    assert!(table.is_closed(key(25), secs(84)));
    assert!(is_sound(&table));
}

#[test]
fn a_new_window_applies_to_claims_made_before() {
    let table = table();
    drop(claim(&table, 1, secs(0)));
    table.set_window(Duration::from_secs(5));
    assert!(!table.is_closed(key(1), secs(5)));
    table.set_window(Duration::from_secs(120));
    assert!(table.is_closed(key(1), secs(119)));
}

#[test]
fn off_closes_nothing_and_remembers_nothing_new() {
    let table = table();
    drop(claim(&table, 1, secs(0)));
    table.set_window(Duration::ZERO);
    assert!(!table.is_closed(key(1), secs(1)));
    claim(&table, 1, secs(1)).release();
    drop(claim(&table, 2, secs(1)));
    table.set_window(WINDOW);
    assert!(table.is_closed(key(1), secs(2)), "the claim from before");
    assert!(!table.is_closed(key(2), secs(2)));
}

#[test]
fn time_that_goes_back_keeps_the_window_closed_and_the_order_sound() {
    let table = table();
    drop(claim(&table, 1, secs(100)));
    drop(claim(&table, 2, secs(40)));
    assert!(table.is_closed(key(1), secs(0)));
    assert!(table.is_closed(key(2), secs(159)), "counted from the claim before it");
    assert_eq!(table.sweep(secs(160)), 2);
}

#[test]
fn of_many_threads_exactly_one_gets_each_window() {
    const THREADS: usize = 8;
    let table = table();
    let barrier = Barrier::new(THREADS);
    for round in 0..200_u64 {
        let now = secs(round * 60);
        let winners: usize = std::thread::scope(|scope| {
            let claimed = || {
                barrier.wait();
                table.claim(key(1), now).map(drop).is_some()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(claimed)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|&won| won).count()
        });
        assert_eq!(winners, 1);
    }
}

#[test]
fn claims_releases_sweeps_and_reads_of_many_threads_leave_it_sound_and_bounded() {
    const MAX: usize = 16;
    let table = DedupeTable::new(WINDOW, MAX);
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let table = &table;
            scope.spawn(move || {
                for round in 0..3_000_usize {
                    let now = secs(round as u64);
                    let n = (thread * 7 + round) % 40;
                    table.is_closed(key(n), now);
                    match table.claim(key(n), now) {
                        Some(claim) if round % 3 == 0 => claim.release(),
                        _ => {}
                    }
                    if round % 100 == 0 {
                        table.sweep(now);
                    }
                    assert!(table.0.order().oldest_first.len() <= MAX);
                }
            });
        }
    });
    assert!(is_sound(&table));
}

proptest! {
    #[test]
    fn it_decides_as_the_naive_model_does(
        steps in prop::collection::vec((0_usize..6, 0_u64..30, any::<bool>(), any::<prop::sample::Index>()), 0..150),
    ) {
        // Room for all: what the bound does has tests of its own.
        let table = table();
        let mut now = Nanos::ZERO;
        let mut model: HashMap<usize, (Nanos, usize)> = HashMap::new();
        let mut held: Vec<(usize, usize, Claim)> = Vec::new();
        for (step, (n, gap, release, which)) in steps.into_iter().enumerate() {
            now = now.saturating_add(secs(gap));
            let closed = model.get(&n).is_some_and(|&(since, _)| now.0 - since.0 < secs(60).0);
            prop_assert_eq!(table.is_closed(key(n), now), closed);
            if release && !held.is_empty() {
                let (n, step, claim) = held.swap_remove(which.index(held.len()));
                claim.release();
                if model.get(&n).is_some_and(|&(_, latest)| latest == step) {
                    model.remove(&n);
                }
                continue;
            }
            let claim = table.claim(key(n), now);
            prop_assert_eq!(claim.is_some(), !closed);
            if let Some(claim) = claim {
                model.insert(n, (now, step));
                held.push((n, step, claim));
            }
        }
        prop_assert!(is_sound(&table));
    }
}
