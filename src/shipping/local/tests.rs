#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::model::profile::ProfileNode;
use crate::model::time::Nanos;
use crate::shipping::batch::Batch as _;
use crate::shipping::trace::TraceParts;
use crate::shipping::trace::tests::{batch, parts, trace};

const NO_BOUND: u64 = 1 << 30;

async fn ship(adapter: &LocalAdapter, batch: &TraceBatch) -> Result<(), ShipError> {
    adapter.ship(batch, &ShipContext::default()).await
}

fn adapter(dir: &Path, max_bytes: u64) -> LocalAdapter {
    LocalAdapter::new(LocalSettings { dir: dir.to_owned(), max_bytes })
}

/// A batch of one trace that began `number` seconds after the others.
fn later(number: u64) -> TraceBatch {
    let mut parts = parts(number.into());
    parts.captured_at += Duration::from_secs(number);
    TraceBatch::new(vec![Trace::new(parts)])
}

fn names(dir: &Path) -> Vec<String> {
    let mut names =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    names.sort();
    names
}

fn profiles(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.ends_with(PROFILE_SUFFIX)).collect()
}

fn indexed(dir: &Path) -> Vec<String> {
    let index = fs::read_to_string(dir.join(index::INDEX)).unwrap();
    index
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["file"].as_str().unwrap().to_owned())
        .collect()
}

fn bytes(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn a_trace_becomes_a_file_and_a_line_of_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("a/b");
    let adapter = adapter(&dir, NO_BOUND);
    assert!(!dir.exists());
    ship(&adapter, &batch(2)).await.unwrap();
    let first = "20261122T195136.123Z-00000000-0000-4000-8000-000000000000.pb.gz";
    let second = "20261122T195136.123Z-00000000-0000-4000-8000-000000000001.pb.gz";
    assert_eq!(names(&dir), [first, second, "index.jsonl"]);
    assert_eq!(fs::read(dir.join(second)).unwrap(), trace(1).pprof_gz());
    assert_eq!(indexed(&dir), [first, second]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_what_is_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("profiles");
    ship(&adapter(&dir, NO_BOUND), &batch(1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for name in names(&dir) {
        assert_eq!(mode(&dir.join(name)), 0o600);
    }
}

#[tokio::test]
async fn a_batch_that_is_shipped_again_replaces_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let adapter = adapter(dir.path(), NO_BOUND);
    ship(&adapter, &batch(3)).await.unwrap();
    ship(&adapter, &batch(3)).await.unwrap();
    assert_eq!(profiles(dir.path()).len(), 3);
}

#[tokio::test]
async fn the_oldest_profiles_make_room_for_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let max = 10_000;
    let adapter = adapter(dir.path(), max);
    for number in 0..200 {
        ship(&adapter, &later(number)).await.unwrap();
        assert!(bytes(dir.path()) <= max, "{} after {number}", bytes(dir.path()));
    }
    let profiles = profiles(dir.path());
    assert!(profiles.len() > 5, "{profiles:?}");
    assert!(profiles.last().unwrap().ends_with("0000000000c7.pb.gz"), "{profiles:?}");
    // What is left is the newest, without a gap.
    let kept = profiles.len() as u64;
    let expected = (200 - kept..200).map(|number| file_name(&later(number).traces()[0])).collect::<Vec<_>>();
    assert_eq!(profiles, expected);
}

#[tokio::test]
async fn the_index_forgets_what_was_deleted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let adapter = adapter(dir.path(), 10_000);
    for number in 0..500 {
        ship(&adapter, &later(number)).await.unwrap();
    }
    let indexed = indexed(dir.path());
    let live = profiles(dir.path());
    assert!(live.iter().all(|name| indexed.contains(name)));
    assert!(indexed.len() < 60, "{}", indexed.len());
}

#[tokio::test]
async fn two_agents_share_a_directory_within_one_budget() {
    let dir = tempfile::tempdir().unwrap();
    let max = 100_000;
    let agents = [adapter(dir.path(), max), adapter(dir.path(), max)];
    for number in 0..600 {
        ship(&agents[usize::try_from(number % 2).unwrap()], &later(number)).await.unwrap();
        assert!(bytes(dir.path()) <= max, "{} after {number}", bytes(dir.path()));
    }
    let indexed = indexed(dir.path());
    let live = profiles(dir.path());
    assert!(live.len() > 50);
    assert!(live.iter().all(|name| indexed.contains(name)));
}

#[cfg(unix)]
#[tokio::test]
async fn foreign_files_and_links_are_never_deleted_or_followed() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("precious");
    fs::write(&target, vec![0; 20_000]).unwrap();
    let link = "19990101T000000.000Z-00000000-0000-4000-8000-000000000000.pb.gz";
    std::os::unix::fs::symlink(&target, dir.path().join(link)).unwrap();
    let foreign = ["notes.pb.gz", "20260101T000000.000Z-mine.pb.gz", ".flame-on-x.tmp", "archive"];
    for name in foreign {
        fs::write(dir.path().join(name), vec![0; 20_000]).unwrap();
    }
    fs::create_dir(dir.path().join("19990101T000000.000Z-00000000-0000-4000-8000-00000000000a.pb.gz")).unwrap();
    let adapter = adapter(dir.path(), 5_000);
    for number in 0..50 {
        ship(&adapter, &later(number)).await.unwrap();
    }
    let names = names(dir.path());
    assert!(foreign.iter().all(|name| names.iter().any(|there| there == name)), "{names:?}");
    assert!(fs::symlink_metadata(dir.path().join(link)).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().len(), 20_000);
}

#[cfg(unix)]
#[tokio::test]
async fn an_index_that_is_a_link_is_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("precious");
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join(index::INDEX)).unwrap();
    assert!(ship(&adapter(dir.path(), NO_BOUND), &batch(1)).await.is_err());
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[tokio::test]
async fn unfinished_files_of_a_crash_are_removed_but_fresh_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join(".flame-on-0123456789abcdef.tmp");
    let fresh = dir.path().join(".flame-on-0123456789abcdee.tmp");
    fs::write(&old, "x").unwrap();
    fs::write(&fresh, "x").unwrap();
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7_200);
    fs::File::options().write(true).open(&old).unwrap().set_modified(hours_ago).unwrap();
    ship(&adapter(dir.path(), NO_BOUND), &batch(1)).await.unwrap();
    assert!(!old.exists());
    assert!(fresh.exists());
}

#[tokio::test]
async fn a_profile_larger_than_the_budget_is_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut big = parts(1);
    big.profile.frames.extend((0..2_000).map(|number: u64| {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{noise:016x}").into()
    }));
    big.profile.nodes.extend((4..2_004).map(|frame| ProfileNode { parent: 0, frame, own: Nanos(1_000) }));
    let big = TraceBatch::new(vec![Trace::new(TraceParts { ..big })]);
    let adapter = adapter(dir.path(), 5_000);
    ship(&adapter, &later(1)).await.unwrap();
    let error = ship(&adapter, &big).await.unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("local_max_bytes"), "{error}");
    // It cost no other its place.
    assert_eq!(profiles(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_path_that_is_no_directory_is_a_lasting_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.join("below"), file] {
        let error = ship(&adapter(&path, NO_BOUND), &batch(1)).await.unwrap_err();
        assert!(!error.is_retryable());
        assert!(error.detach().to_string().contains(path.to_str().unwrap()));
    }
}
