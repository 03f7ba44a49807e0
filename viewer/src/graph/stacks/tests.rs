#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::graph::testing::{profile, stacks, with_comment};
use crate::proto::perftools::profiles::Line;

fn bad(change: impl FnOnce(&mut Profile)) -> BadProfile {
    let mut profile = profile(&[("r;a", 3), ("r", 4)]);
    change(&mut profile);
    Stacks::from_profile(&profile).unwrap_err()
}

#[test]
fn paths_come_root_first_with_their_own_times() {
    let stacks = stacks(&[("r;a;b", 3), ("r;c", 4)]);
    let all: Vec<_> = stacks
        .paths()
        .map(|(path, micros)| (path.iter().map(|f| stacks.name(*f)).collect::<Vec<_>>().join(";"), micros))
        .collect();
    assert_eq!(all, [("r;a;b".to_owned(), 3), ("r;c".to_owned(), 4)]);
    assert_eq!((stacks.total(), stacks.root()), (7, "r"));
}

#[test]
fn inlined_functions_of_a_location_stand_outermost_first() {
    let mut profile = profile(&[("r;a;b", 3)]);
    // One location for both: pprof lists the innermost first.
    profile.location[1].line = vec![Line { function_id: 3, line: 0 }, Line { function_id: 2, line: 0 }];
    profile.sample[0].location_id = vec![2, 1];
    let stacks = Stacks::from_profile(&profile).unwrap();
    assert_eq!(stacks.paths().next().unwrap().0, [0, 1, 2]);
}

#[test]
fn nanoseconds_of_other_profilers_are_taken() {
    let mut other = profile(&[("r", 5_000)]);
    other.string_table[3] = "nanoseconds".into();
    assert_eq!(Stacks::from_profile(&other).unwrap().total(), 5);
}

#[test]
fn what_does_not_add_up_is_refused() {
    assert!(matches!(bad(|p| p.sample_type.clear()), BadProfile::NoTime));
    assert!(matches!(bad(|p| p.sample.clear()), BadProfile::NoSamples));
    assert!(matches!(bad(|p| p.sample[0].value.truncate(1)), BadProfile::MissingValue));
    assert!(matches!(bad(|p| p.sample[0].value[0] = -1), BadProfile::BadTime));
    assert!(matches!(bad(|p| p.sample[0].value[0] = i64::MAX), BadProfile::BadTime));
    assert!(matches!(bad(|p| p.sample[0].location_id.clear()), BadProfile::EmptyStack));
    assert!(matches!(bad(|p| p.sample[0].location_id[0] = 99), BadProfile::Dangling("a location")));
    assert!(matches!(bad(|p| p.location[0].line[0].function_id = 99), BadProfile::Dangling("a function")));
    assert!(matches!(bad(|p| p.function[0].name = 99), BadProfile::Dangling("a name")));
    assert!(matches!(bad(|p| p.function[0].filename = -1), BadProfile::Dangling("a file")));
    let deep = ["r"; MAX_DEPTH + 1].join(";");
    assert!(matches!(Stacks::from_profile(&profile(&[(&deep, 1)])), Err(BadProfile::TooMuch)));
}

#[test]
fn comments_are_found_by_their_key() {
    let commented = with_comment(with_comment(profile(&[("r", 1)]), "release=1.2=3"), "truncated");
    assert_eq!(comment(&commented, "release"), "1.2=3");
    assert_eq!(comment(&commented, "service"), "");
    assert!(is_marked(&commented, "truncated") && !is_marked(&commented, "thinned"));
}
