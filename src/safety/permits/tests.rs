use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn key(n: usize) -> IdentifierKey {
    IdentifierKey::of(&n.to_string())
}

fn hold(permits: &ActivePermits, identifier: Option<IdentifierKey>, count: usize) -> Vec<Permit> {
    (0..count).map(|_| permits.try_acquire(identifier).expect("a free permit")).collect()
}

#[test]
fn the_total_is_refused_at_the_limit_and_free_again_after_a_drop() {
    let permits = ActivePermits::new(2);
    let mut held = hold(&permits, None, 2);
    assert_eq!(permits.try_acquire(None).unwrap_err(), Refused::Total);
    held.pop();
    assert_eq!(permits.active(), 1);
    assert!(permits.try_acquire(None).is_ok());
}

#[test]
fn an_identifier_gets_an_eighth_and_leaves_the_rest_to_others() {
    let permits = ActivePermits::new(256);
    let held = hold(&permits, Some(key(1)), 32);
    assert_eq!(permits.try_acquire(Some(key(1))).unwrap_err(), Refused::Identifier);
    assert_eq!(permits.active(), 32, "a refused request holds nothing");
    assert!(permits.try_acquire(Some(key(2))).is_ok());
    drop(held);
    assert!(permits.try_acquire(Some(key(1))).is_ok());
}

#[test]
fn an_identifier_always_gets_one() {
    for limit in 1..8 {
        let permits = ActivePermits::new(limit);
        let _held = hold(&permits, Some(key(1)), 1);
        assert!(permits.try_acquire(Some(key(1))).is_err());
    }
}

#[test]
fn work_without_an_identifier_is_bounded_by_the_total_only() {
    let permits = ActivePermits::new(16);
    let _held = hold(&permits, None, 16);
    assert!(permits.0.by_identifier.is_empty());
}

#[test]
fn a_limit_of_zero_refuses_everything() {
    assert_eq!(ActivePermits::new(0).try_acquire(Some(key(1))).unwrap_err(), Refused::Total);
}

#[test]
fn a_lowered_limit_takes_nothing_back_but_admits_nothing_until_it_is_met() {
    let permits = ActivePermits::new(4);
    let mut held = hold(&permits, None, 4);
    permits.set_limit(2);
    held.truncate(2);
    assert_eq!(permits.try_acquire(None).unwrap_err(), Refused::Total);
    held.truncate(1);
    assert!(permits.try_acquire(None).is_ok());
    permits.set_limit(100);
    assert_eq!(hold(&permits, Some(key(1)), 12).len(), 12);
}

#[test]
fn an_entry_goes_with_its_last_permit() {
    let permits = ActivePermits::new(64);
    let mut held = hold(&permits, Some(key(1)), 2);
    held.pop();
    assert_eq!(permits.0.by_identifier.len(), 1);
    held.pop();
    assert!(permits.0.by_identifier.is_empty());
}

#[test]
fn threads_never_pass_a_limit_and_leave_nothing_behind() {
    const LIMIT: usize = 24;
    let permits = ActivePermits::new(LIMIT);
    let by_identifier: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (permits, by_identifier) = (&permits, &by_identifier);
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..4_000 {
                    let n = (thread + round) % 4;
                    if let Ok(permit) = permits.try_acquire(Some(key(n))) {
                        assert!(by_identifier[n].fetch_add(1, Ordering::SeqCst) < identifier_limit(LIMIT));
                        held.push((n, permit));
                    }
                    assert!(permits.active() <= LIMIT);
                    if round % 3 != 0 {
                        // The test's own count goes down first, so that it is never above the true one.
                        if let Some((n, permit)) = held.pop() {
                            by_identifier[n].fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    }
                }
                for (n, permit) in held {
                    by_identifier[n].fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(permits.active(), 0);
    assert!(permits.0.by_identifier.is_empty());
}

proptest! {
    #[test]
    fn it_counts_as_a_map_would(
        limit in 0_usize..40,
        steps in prop::collection::vec((any::<bool>(), prop::option::of(0_usize..4), any::<prop::sample::Index>()), 0..200),
    ) {
        let permits = ActivePermits::new(limit);
        let mut held: Vec<(Option<usize>, Permit)> = Vec::new();
        for (acquire, identifier, which) in steps {
            if acquire {
                let own = held.iter().filter(|(n, _)| n.is_some() && *n == identifier).count();
                let expected = if held.len() >= limit {
                    Err(Refused::Total)
                } else if own >= identifier_limit(limit) {
                    Err(Refused::Identifier)
                } else {
                    Ok(())
                };
                let result = permits.try_acquire(identifier.map(key));
                prop_assert_eq!(result.as_ref().map(|_| ()).map_err(|refused| *refused), expected);
                held.extend(result.ok().map(|permit| (identifier, permit)));
            } else if !held.is_empty() {
                drop(held.swap_remove(which.index(held.len())));
            }
            prop_assert_eq!(permits.active(), held.len());
            let mut model: HashMap<IdentifierKey, usize> = HashMap::new();
            for n in held.iter().filter_map(|(n, _)| *n) {
                *model.entry(key(n)).or_default() += 1;
            }
            let counted: HashMap<_, _> = permits.0.by_identifier.iter().map(|entry| (*entry.key(), *entry.value())).collect();
            prop_assert_eq!(counted, model);
        }
        held.clear();
        prop_assert_eq!(permits.active(), 0);
        prop_assert!(permits.0.by_identifier.is_empty());
    }
}
