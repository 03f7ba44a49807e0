use std::fs;

use super::*;

fn root_with(files: &[(&str, &str)]) -> (tempfile::TempDir, SystemRoot) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let root = SystemRoot::at(dir.path());
    (dir, root)
}

const STATUS: &str =
    "Name:\tshop\nVmRSS:\t  900 kB\nRssAnon:\t     148 kB\nRssFile:\t    1836 kB\nRssShmem:\t       0 kB\n";

#[test]
fn anonymous_memory_comes_from_status() {
    let (_dir, root) =
        root_with(&[("proc/self/status", STATUS), ("proc/self/smaps_rollup", "Rss:   5 kB\nAnonymous:    999 kB\n")]);
    assert_eq!(resident_anonymous(&root).unwrap(), 148 * 1_024);
}

#[test]
fn without_the_field_it_comes_from_smaps_rollup() {
    let (_dir, root) = root_with(&[
        ("proc/self/status", "Name:\tshop\nVmRSS:\t  900 kB\n"),
        ("proc/self/smaps_rollup", "Rss:  2000 kB\nAnonHugePages:  7 kB\nAnonymous:    999 kB\n"),
    ]);
    assert_eq!(resident_anonymous(&root).unwrap(), 999 * 1_024);
}

#[test]
fn without_either_file_it_says_which_one_it_wanted() {
    let (_dir, root) = root_with(&[]);
    let SystemUnknown::Unreadable { path, .. } = resident_anonymous(&root).unwrap_err() else {
        panic!("not unreadable")
    };
    assert!(path.ends_with("proc/self/status"));
}

#[test]
fn a_field_that_is_no_number_is_not_taken_for_zero() {
    for status in ["RssAnon:\t\n", "RssAnon:\t-1 kB\n", "RssAnon:\t12 MB\n", ""] {
        let (_dir, root) = root_with(&[("proc/self/status", status)]);
        assert!(matches!(resident_anonymous(&root), Err(SystemUnknown::NoField { .. })), "{status:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn memory_that_this_process_writes_is_counted() {
    let root = SystemRoot::host().unwrap();
    let before = resident_anonymous(&root).unwrap();
    let written = std::hint::black_box(vec![1_u8; 64 << 20]);
    let after = resident_anonymous(&root).unwrap();
    assert!(after >= before + (48 << 20), "{before} -> {after}");
    drop(written);
}

#[test]
#[cfg(not(target_os = "linux"))]
fn elsewhere_it_says_that_it_needs_linux() {
    assert!(matches!(SystemRoot::host(), Err(SystemUnknown::NotLinux)));
}

#[test]
fn it_trips_above_the_limit_and_rearms_below_four_fifths_of_it() {
    let mut watch = MemoryWatch::new(false);
    let readings = [999, 1_000, 1_001, 2_000, 1_000, 800, 799, 800, 1_000, 1_001];
    let verdicts = readings.map(|resident| watch.decide(resident, 1_000));
    use Verdict::{Rearm, Stay, Trip};
    assert_eq!(verdicts, [Stay, Stay, Trip, Stay, Stay, Stay, Rearm, Stay, Stay, Trip]);
}

#[test]
fn a_restarted_watch_goes_on_from_the_breaker() {
    assert_eq!(MemoryWatch::new(true).decide(900, 1_000), Verdict::Stay);
    assert_eq!(MemoryWatch::new(true).decide(1_001, 1_000), Verdict::Stay);
    assert_eq!(MemoryWatch::new(true).decide(100, 1_000), Verdict::Rearm);
}

#[test]
fn a_limit_that_changes_takes_effect_at_the_next_reading() {
    let mut watch = MemoryWatch::new(false);
    assert_eq!(watch.decide(600, 1_000), Verdict::Stay);
    assert_eq!(watch.decide(600, 500), Verdict::Trip);
    assert_eq!(watch.decide(600, 1_000), Verdict::Rearm);
}

#[test]
fn the_extremes_of_limits_do_not_overflow() {
    assert_eq!(MemoryWatch::new(false).decide(u64::MAX, u64::MAX), Verdict::Stay);
    assert_eq!(MemoryWatch::new(false).decide(1, 0), Verdict::Trip);
    assert_eq!(MemoryWatch::new(true).decide(0, 0), Verdict::Stay);
}

#[test]
fn the_default_is_four_fifths_of_the_limit() {
    let limit = |bytes| limit::MemoryLimit { bytes, source: limit::LimitSource::Machine };
    assert_eq!(default_max_memory_bytes(limit(1_000)), 800);
    assert_eq!(default_max_memory_bytes(limit(u64::MAX)), u64::MAX / 5 * 4);
}

/// A measurement, not a check: run it with `--ignored --nocapture` in a release build.
#[test]
#[ignore = "measures"]
#[cfg(target_os = "linux")]
fn cost_of_the_readers() {
    let root = SystemRoot::host().unwrap();
    let held = std::hint::black_box(vec![1_u8; 1 << 30]);
    let time = |name: &str, read: &dyn Fn()| {
        let start = std::time::Instant::now();
        (0..200).for_each(|_| read());
        eprintln!("{name}: {:?} each, {} MiB written", start.elapsed() / 200, held.len() >> 20);
    };
    time("status", &|| assert!(resident_anonymous(&root).is_ok()));
    time("smaps_rollup", &|| assert!(kibibytes_of(Path::new("/proc/self/smaps_rollup"), "Anonymous").is_ok()));
    time("limit", &|| assert!(limit::memory_limit(&root).is_ok()));
}
