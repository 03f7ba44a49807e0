//! Runs the vectors in `tests/golden/`, or in the folder that `FLAME_ON_VECTORS` names (same file names). Every
//! case of a file is run; those that fail are listed with their differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod vectors;

#[test]
fn traces_fold_to_the_expected_own_times() {
    vectors::run("traces.json", vectors::traces::check);
}

#[test]
fn the_profile_filter_leaves_what_is_expected() {
    vectors::run("profile_filter.json", vectors::profile_filter::check);
}

#[test]
fn labels_are_the_originals() {
    vectors::assert_none(&vectors::labels::run(&vectors::folder()));
}

#[test]
fn the_default_handler_decides_as_the_original() {
    vectors::assert_none(&vectors::handler::run(&vectors::folder()));
}

#[test]
fn error_events_are_the_originals() {
    vectors::assert_none(&vectors::errors::run(&vectors::folder()));
}

#[test]
fn missing_vectors_are_a_failure() {
    let folder = std::path::Path::new("no such folder");
    assert_eq!((vectors::labels::run(folder).len(), vectors::handler::run(folder).len()), (1, 1));
    assert_eq!(vectors::errors::run(folder).len(), 1);
}

#[test]
fn pprof_files_decode_to_the_expected_samples() {
    vectors::run("pprof.json", vectors::pprof::check);
}
