use std::fs;

use super::*;

fn task_with(files: &[(&str, &str)]) -> (tempfile::TempDir, SystemRoot) {
    let dir = tempfile::tempdir().unwrap();
    let task = dir.path().join("proc/self/task/77");
    fs::create_dir_all(&task).unwrap();
    for (name, text) in files {
        fs::write(task.join(name), text).unwrap();
    }
    let root = SystemRoot::at(dir.path());
    (dir, root)
}

const THREAD: ThreadNumber = ThreadNumber(77);
const STAT: &str = "77 (flame-on) x) 3 (y) S 1 77 77 0 -1 4194624 105 0 0 0 123 45 6 7 20 0 8 0 100 1000 200";

#[test]
fn cpu_time_comes_from_schedstat() {
    let (_dir, root) = task_with(&[("schedstat", "987654321 1000 42\n"), ("stat", STAT)]);
    assert_eq!(thread_cpu_time(&root, THREAD).unwrap(), Nanos(987_654_321));
}

#[test]
fn without_schedstat_it_comes_from_stat_whatever_the_threads_name_is() {
    let (_dir, root) = task_with(&[("stat", STAT)]);
    assert_eq!(thread_cpu_time(&root, THREAD).unwrap(), Nanos(1_680_000_000));
}

#[test]
fn a_kernel_that_keeps_no_statistics_is_not_taken_for_an_idle_thread() {
    let (_dir, root) = task_with(&[("schedstat", "0 0 0\n"), ("stat", STAT)]);
    assert_eq!(thread_cpu_time(&root, THREAD).unwrap(), Nanos(1_680_000_000));
}

#[test]
fn a_thread_that_has_ended_or_an_odd_file_is_an_error() {
    let (_dir, root) = task_with(&[]);
    assert!(matches!(thread_cpu_time(&root, THREAD), Err(SystemUnknown::Unreadable { .. })));
    for stat in ["", "77 (a", "77 (a) S 1 2 3", "77 (a) S 1 77 77 0 -1 4194624 105 0 0 0 x 45 6"] {
        let (_dir, root) = task_with(&[("schedstat", "\n"), ("stat", stat)]);
        assert!(matches!(thread_cpu_time(&root, THREAD), Err(SystemUnknown::NoField { .. })), "{stat:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_thread_reads_its_number_from_the_link() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("proc")).unwrap();
    let link = dir.path().join("proc/thread-self");
    std::os::unix::fs::symlink("10155/task/10160", &link).unwrap();
    assert_eq!(current_thread(&SystemRoot::at(dir.path())).unwrap(), ThreadNumber(10_160));
    fs::remove_file(&link).unwrap();
    assert!(current_thread(&SystemRoot::at(dir.path())).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn a_busy_thread_of_this_process_is_seen_to_work() {
    let root = SystemRoot::host().unwrap();
    let used = std::thread::spawn(move || {
        let thread = current_thread(&root).unwrap();
        let before = thread_cpu_time(&root, thread).unwrap();
        let mut sum = 0_u64;
        loop {
            sum = std::hint::black_box((0..100_000_u64).fold(sum, u64::wrapping_add));
            let used = thread_cpu_time(&root, thread).unwrap().saturating_sub(before);
            if used > Nanos(20_000_000) {
                return used;
            }
        }
    });
    assert!(used.join().unwrap() < Nanos(10_000_000_000));
}

#[test]
fn the_total_grows_by_what_each_thread_has_used_since() {
    let (a, b) = (ThreadNumber(1), ThreadNumber(2));
    let mut cpu = ThreadsCpu::default();
    assert_eq!(cpu.advance([(a, Nanos(100))]), Nanos(100));
    assert_eq!(cpu.advance([(a, Nanos(150)), (b, Nanos(30))]), Nanos(180));
    assert_eq!(cpu.advance([(b, Nanos(40))]), Nanos(190), "the end of a thread takes nothing away");
    assert_eq!(cpu.advance([]), Nanos(190));
}

#[test]
fn a_number_that_came_back_is_another_thread() {
    let a = ThreadNumber(1);
    let mut cpu = ThreadsCpu::default();
    cpu.advance([(a, Nanos(1_000))]);
    assert_eq!(cpu.advance([(a, Nanos(20))]), Nanos(1_020));
    assert_eq!(cpu.advance([(a, Nanos(25))]), Nanos(1_025));
}
