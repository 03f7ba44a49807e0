//! All that a host may do to its sampler, at once and for a while: no crash, no hang, no frame of a poll's callers.
//!
//! `FLAME_ON_TORTURE_SECONDS=600 cargo test --release --test sampler_torture -- --ignored --nocapture`
//! (20 seconds by default). A binary of its own: it takes signals that others may want.
#![cfg(all(native_capture, feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "what was measured is worth seeing")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use flame_on::__sampler::host::{self, Library, Manners};
use flame_on::__sampler::{Counts, Probe, Sample};
use flame_on::CpuSignal;

mod sampler_common;
use sampler_common::{burn, code_of, timers};

const SIGURG: i32 = 23;
const SIGPROF: i32 = 27;
/// Ten times what is usual; the limit over all threads is at work, too.
const HZ: u32 = 10_000;

/// The label of the polls that panic.
const PANICS: u64 = 8;

/// What a thread does, over and over, each time in a poll of its own.
type Work = fn(&Bench);

/// Name, what to do, and whether there must be samples of it.
const WORKS: &[(&str, Work, bool)] = &[
    ("malloc", |bench| bench.poll(1, malloc), true),
    ("deep recursion", |bench| bench.poll(2, || pass(recursive(600))), true),
    ("tiny stacks", tiny_stacks, true),
    ("switched stacks", |bench| bench.poll(4, switched), true),
    ("fork and exec", |bench| bench.poll(5, fork_and_exec), true),
    ("thread churn", thread_churn, true),
    ("dlopen and dlclose", |bench| bench.poll(7, || bench.load()), true),
    ("panics", panics, true),
    ("other users of the signal", others, true),
    ("SIGPROF", |bench| bench.poll(10, profiled), true),
    ("alternate stacks", |bench| bench.poll(11, alternate), true),
    ("agents that come and go", agents, false),
    ("blocked signals", blocked, false),
    ("nested polls", nested, false),
];

struct Bench {
    probe: Probe,
    library: Option<PathBuf>,
}

impl Bench {
    fn poll(&self, label: u64, mut work: impl FnMut()) {
        beyond(&self.probe, label, &mut work);
    }

    /// Loads, runs and unloads code, so that samples are of code that is gone when they are unwound.
    fn load(&self) {
        let Some(library) = &self.library else { return pass(burn(Duration::from_millis(1))) };
        let path = CString::new(library.as_os_str().as_encoded_bytes()).unwrap();
        let library = Library::open(&path).unwrap();
        assert!(library.call(c"spin"));
    }
}

/// The cut is in here: no sample may have this function among its callers.
#[inline(never)]
fn beyond(probe: &Probe, label: u64, work: &mut dyn FnMut()) {
    let (_, taken) = probe.poll(label, work);
    black_box(taken);
}

fn pass(sum: u64) {
    black_box(sum);
}

fn malloc() {
    let mut map = BTreeMap::new();
    for number in 0..300u64 {
        map.insert(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), vec![number; (number % 97) as usize]);
    }
    let text: Vec<String> = map.values().map(|list| format!("{list:?}")).collect();
    black_box(text.concat());
}

#[inline(never)]
fn recursive(levels: u32) -> u64 {
    let ballast = black_box([levels; 64]);
    let below = if levels == 0 { burn(Duration::from_micros(300)) } else { recursive(levels - 1) };
    below.wrapping_add(u64::from(black_box(ballast)[3]))
}

fn tiny_stacks(bench: &Bench) {
    std::thread::scope(|scope| {
        let work = || bench.poll(3, || pass(burn(Duration::from_millis(1))));
        let threads = [16, 24, 48].map(|kib| {
            let thread = std::thread::Builder::new().stack_size(kib << 10);
            thread.spawn_scoped(scope, work).unwrap()
        });
        // The scope would not wait for what a thread does at its end, which is to give its timer back.
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn switched() {
    stacker::grow(64 << 10, || {
        malloc();
        stacker::grow(32 << 10, || black_box(burn(Duration::from_micros(300))));
    });
    malloc();
}

fn fork_and_exec() {
    assert!(Command::new("true").status().unwrap().success());
    assert!(host::in_child(|| burn(Duration::from_millis(1)) != 0).unwrap());
}

fn thread_churn(bench: &Bench) {
    let poll = || bench.poll(6, || pass(burn(Duration::from_micros(500))));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(poll)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn panics(bench: &Bench) {
    let poll = std::panic::AssertUnwindSafe(|| bench.poll(PANICS, || unwind_from(40)));
    assert!(std::panic::catch_unwind(poll).is_err());
}

#[inline(never)]
fn unwind_from(levels: u32) {
    let owned = black_box(vec![levels; 10]);
    if levels == 0 {
        burn(Duration::from_micros(200));
        // Without the hook, which would print.
        std::panic::resume_unwind(Box::new(()));
    }
    unwind_from(levels - 1);
    drop(owned);
}

/// Another user of our signal puts a handler on top, sends signals, and goes.
fn others(bench: &Bench) {
    let ours = host::install_foreign(SIGURG, Manners::Chains);
    bench.poll(9, || {
        for _ in 0..20 {
            host::raise(SIGURG);
            burn(Duration::from_micros(50));
        }
    });
    ours.restore();
    bench.poll(9, || host::raise(SIGURG));
}

fn profiled() {
    host::raise(SIGPROF);
    malloc();
}

fn alternate() {
    host::on_alternate_stack(&mut || {
        host::raise(SIGURG);
        assert_ne!(burn(Duration::from_micros(500)), 0);
    })
    .unwrap();
}

fn agents(bench: &Bench) {
    let second = Probe::start(HZ, CpuSignal::Urg, 64).unwrap();
    beyond(&second, 12, &mut malloc);
    bench.poll(12, malloc);
    second.discard();
}

fn blocked(bench: &Bench) {
    host::block(SIGURG, true);
    bench.poll(13, || pass(burn(Duration::from_millis(2))));
    host::block(SIGURG, false);
}

/// The inner poll's own function is one of the outer poll's frames, so it is another one.
fn nested(bench: &Bench) {
    bench.poll(14, || {
        malloc();
        bench.probe.poll(15, malloc);
        malloc();
    });
}

/// What was found in all samples.
#[derive(Debug, Default)]
struct Findings {
    samples: BTreeMap<u64, u64>,
    foreign: u64,
    truncated: u64,
    whole: u64,
    /// The first that is wrong.
    fault: Option<String>,
}

impl Findings {
    fn add(&mut self, sample: &Sample, beyond: &std::ops::Range<u64>) {
        *self.samples.entry(sample.label).or_default() += 1;
        self.foreign += u64::from(sample.is_foreign_stack);
        self.truncated += u64::from(sample.is_truncated);
        self.whole += u64::from(!sample.is_foreign_stack && !sample.is_truncated && sample.reaches_the_poll());
        let callers = sample.frames.get(1..).unwrap_or(&[]);
        if callers.iter().any(|at| beyond.contains(at)) && !lands_in(sample, beyond) {
            self.fault.get_or_insert_with(|| format!("frames beyond the cut {beyond:x?}: {sample:x?}"));
        }
        if !sample.places.is_sorted_by(|inner, outer| inner >= outer) {
            self.fault.get_or_insert_with(|| format!("frames out of order: {sample:x?}"));
        }
    }
}

/// Whether a panic was about to go on in the poll's own function. For the last instructions of the unwinder's jump the
/// stack pointer is the new frame's, while the tables describe the old one and the return address is the target. Nothing
/// follows it.
fn lands_in(sample: &Sample, beyond: &std::ops::Range<u64>) -> bool {
    let is_only_one = sample.frames.iter().filter(|at| beyond.contains(at)).count() == 1;
    sample.label == PANICS && is_only_one && sample.frames.last().is_some_and(|at| beyond.contains(at))
}

/// A shared object with a function that takes its time. The compiler is the one that links this test.
fn library(directory: &Path) -> Option<PathBuf> {
    let (source, object) = (directory.join("spin.c"), directory.join("spin.so"));
    let code = "void spin(void) { for (volatile int i = 0; i < 300000; i++) { } }\n";
    std::fs::write(&source, code).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(compiler).args(["-shared", "-fPIC", "-g0", "-o"]).arg(&object).arg(&source).status();
    status.is_ok_and(|status| status.success()).then_some(object)
}

/// Ends the process when the test hangs: a thread in a handler can be joined by nobody.
struct Watchdog(#[expect(dead_code, reason = "dropped at the test's end")] Sender<()>);

impl Watchdog {
    /// Ten minutes more than the test runs: some of the work waits for children, on a machine that may be busy.
    fn start() -> Self {
        let (alive, is_alive) = channel();
        std::thread::spawn(move || {
            if is_alive.recv_timeout(duration() + Duration::from_secs(600)) == Err(RecvTimeoutError::Timeout) {
                println!("it hangs");
                std::process::abort();
            }
        });
        Self(alive)
    }
}

fn duration() -> Duration {
    let seconds = std::env::var("FLAME_ON_TORTURE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

#[test]
#[ignore = "takes 20 s or what FLAME_ON_TORTURE_SECONDS says"]
fn whatever_a_host_does_nothing_crashes_hangs_or_leaks_beyond_the_cut() {
    let (timers_before, counts_before) = (timers(), Counts::now());
    let profiler = host::install_foreign(SIGPROF, Manners::Eats);
    host::profile_every(Duration::from_millis(1));
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench { probe: Probe::start(HZ, CpuSignal::Urg, 64).unwrap(), library: library(directory.path()) };
    if bench.library.is_none() {
        println!("NO dlopen: there is no compiler for C here");
    }
    let (begin, is_over) = (Instant::now(), AtomicBool::new(false));
    let _watchdog = Watchdog::start();
    let (beyond, mut findings) = (code_of(beyond as *const ()), Findings::default());
    std::thread::scope(|scope| {
        let (bench, is_over) = (&bench, &is_over);
        let run = |work: Work| {
            let mut rounds = 0u64;
            while !is_over.load(Ordering::Relaxed) {
                work(bench);
                rounds += 1;
            }
            rounds
        };
        let threads: Vec<_> = WORKS.iter().map(|(name, work, _)| (name, scope.spawn(move || run(*work)))).collect();
        let goes_on =
            |findings: &Findings| findings.fault.is_none() && threads.iter().all(|(_, own)| !own.is_finished());
        while begin.elapsed() < duration() && goes_on(&findings) {
            bench.probe.drain().iter().for_each(|sample| findings.add(sample, &beyond));
            std::thread::sleep(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Relaxed);
        for (name, thread) in threads {
            println!("{name}: {} rounds", thread.join().unwrap());
        }
    });
    bench.probe.drain().iter().for_each(|sample| findings.add(sample, &beyond));
    host::profile_every(Duration::ZERO);
    profiler.restore();
    drop(bench);
    let counts = Counts::now().since(counts_before);
    println!("{findings:?}\n{counts:?}; other handlers ran {} times", host::foreign_calls());
    assert_eq!(findings.fault, None);
    assert_eq!(timers(), timers_before, "timers are left behind");
    assert_eq!(counts.slots_in_use, 0, "slots are left behind");
    assert!(host::foreign_calls() > 0 && counts.chained > 0);
    for ((name, _, has_samples), label) in WORKS.iter().zip(1..) {
        assert!(!has_samples || findings.samples.contains_key(&label), "no samples of {name}");
    }
}
