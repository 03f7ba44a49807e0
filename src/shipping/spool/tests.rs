#![allow(clippy::unwrap_used, reason = "tests")]

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tempfile::TempDir;

use super::*;

const LEASE: Duration = Duration::from_secs(60);

fn spool(dir: &TempDir, max_bytes: u64) -> Spool {
    Spool::new(dir.path().join("spool"), max_bytes, "traces", LEASE)
}

fn item(number: u32) -> Vec<u8> {
    // Does not compress, so that sizes are known.
    let mut bytes = vec![0; 1_000];
    rand::RngCore::fill_bytes(&mut SmallRng::seed_from_u64(number.into()), &mut bytes);
    bytes
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    fs::read_dir(dir.path().join("spool")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_was_written_is_claimed_once_oldest_first_and_gone_when_it_was_taken() {
    let dir = TempDir::new().unwrap();
    let (one, other) = (spool(&dir, 1 << 20), spool(&dir, 1 << 20));
    for number in 0..3 {
        assert_eq!(one.write(&[item(number)]).unwrap(), 1);
    }
    let first = one.claim().unwrap();
    let second = other.claim().unwrap();
    assert_eq!((&first.items, &second.items), (&vec![item(0)], &vec![item(1)]));
    one.finish(&first, 1, 0);
    other.release(&second);
    assert_eq!(one.claim().unwrap().items, vec![item(1)]);
    assert_eq!(one.claim().unwrap().items, vec![item(2)]);
    assert!(one.claim().is_none() && !one.is_worth_a_look());
    assert_eq!(one.stats().sent, 1);
}

#[test]
fn a_directory_that_is_not_there_is_not_worth_another_look_until_something_is_written() {
    let dir = TempDir::new().unwrap();
    let spool = spool(&dir, 1 << 20);
    assert!(spool.is_worth_a_look(), "another process may have left something");
    assert!(spool.claim().is_none() && !spool.is_worth_a_look());
    spool.write(&[item(1)]).unwrap();
    assert!(spool.is_worth_a_look() && spool.claim().is_some());
}

#[test]
fn the_claim_of_a_dead_process_ends_with_its_lease() {
    let dir = TempDir::new().unwrap();
    let dead = spool(&dir, 1 << 20);
    dead.write(&[item(1)]).unwrap();
    let claimed = dead.claim().unwrap();
    let next = spool(&dir, 1 << 20);
    assert!(next.claim().is_none());
    let past = SystemTime::now() - LEASE - Duration::from_secs(1);
    File::options().write(true).open(&claimed.path).unwrap().set_modified(past).unwrap();
    assert_eq!(next.claim().unwrap().items, vec![item(1)]);
    assert!(next.claim().is_none(), "the lease has begun anew");
}

#[test]
fn the_oldest_are_evicted_and_counted_when_there_is_no_room() {
    let dir = TempDir::new().unwrap();
    let spool = spool(&dir, 4_500);
    for number in 0..10 {
        spool.write(&[item(number)]).unwrap();
    }
    let bytes: u64 = files(&dir).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes <= 4_500, "{bytes}");
    let stats = spool.stats();
    assert_eq!(stats.evicted + stats.waiting, 10);
    assert!(stats.waiting >= 3);
    assert_eq!(spool.claim().unwrap().items, vec![item(10 - u32::try_from(stats.waiting).unwrap())]);
    assert!(spool.write(&[(0..10).flat_map(item).collect()]).is_err(), "larger than all that may be there");
}

#[test]
fn torn_and_foreign_files_are_skipped_and_counted() {
    let dir = TempDir::new().unwrap();
    let spool = spool(&dir, 1 << 20);
    for number in 0..3 {
        spool.write(&[item(number)]).unwrap();
    }
    let mut paths = files(&dir);
    paths.sort();
    let torn = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &torn[..torn.len() / 2]).unwrap();
    fs::write(&paths[1], b"not ours at all").unwrap();
    let foreign = dir.path().join("spool/notes.txt");
    fs::write(&foreign, b"mine").unwrap();
    assert_eq!(spool.claim().unwrap().items, vec![item(2)]);
    assert_eq!((spool.stats().skipped_files, spool.stats().waiting), (3, 1));
    assert!(foreign.exists() && !paths[0].exists() && !paths[1].exists());
}

#[test]
fn of_a_file_taken_in_part_the_rest_stays() {
    let dir = TempDir::new().unwrap();
    let spool = spool(&dir, 1 << 20);
    spool.write(&(0..5).map(item).collect::<Vec<_>>()).unwrap();
    let claimed = spool.claim().unwrap();
    spool.keep_rest(&claimed, 2, 1);
    assert_eq!(spool.claim().unwrap().items, vec![item(3), item(4)]);
    let stats = spool.stats();
    assert_eq!((stats.sent, stats.rejected), (2, 1));
}

#[test]
fn what_an_unfinished_write_has_left_behind_is_removed_in_time() {
    let dir = TempDir::new().unwrap();
    let spool = spool(&dir, 1 << 20);
    spool.write(&[item(1)]).unwrap();
    let temp = dir.path().join("spool").join(name::temp());
    fs::write(&temp, b"half").unwrap();
    spool.look().unwrap();
    assert!(temp.exists(), "it may be another process's");
    let past = SystemTime::now() - ABANDONED_AFTER - Duration::from_secs(1);
    File::options().write(true).open(&temp).unwrap().set_modified(past).unwrap();
    spool.look().unwrap();
    assert!(!temp.exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_spooled() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let spool = spool(&dir, 1 << 20);
    spool.write(&[item(1)]).unwrap();
    assert_eq!(files(&dir)[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(dir.path().join("spool").metadata().unwrap().permissions().mode() & 0o777, 0o700);
}
