//! Where real leaf futures wait, which branch fired and who answered: by function names, without a frame by hand.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{NativeCapture, Scope, Trace};

const SHORT: Duration = Duration::from_millis(100);

/// One for all tests: it reads this program's symbols once. Who traces holds the lock.
static AGENT: LazyLock<(TestAgent, Mutex<()>)> =
    LazyLock::new(|| (TestAgent::with(|config| config.native_capture(NativeCapture::On)).unwrap(), Mutex::default()));

/// A traced run of `work`, on a runtime with two workers.
fn trace<F: Future<Output = ()> + Send + 'static>(work: F) -> Trace {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    traced(|scope| runtime.block_on(async { tokio::spawn(scope.run(work)).await.unwrap() }))
}

fn traced(run: impl FnOnce(Scope)) -> Trace {
    let (agent, lock) = &*AGENT;
    let _only = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let began = Instant::now();
    // On a busy machine the agent may trace less for a while.
    let scope = loop {
        let scope = agent.unit("test", || "one");
        if scope.is_sampled() {
            break scope;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "{:#?}", agent.stats());
        std::thread::sleep(SHORT);
    };
    run(scope);
    let ended = Instant::now();
    loop {
        // The symbols of a program that is not optimised can take long to read.
        if let Some(trace) = agent.traces_blocking().pop() {
            let own = trace.paths().map(|(_, own)| own).sum::<Duration>();
            assert_eq!(own, trace.duration(), "{}", trace.collapsed());
            return trace;
        }
        assert!(ended.elapsed() < Duration::from_secs(180), "{:#?}", agent.stats());
    }
}

/// The paths that end in a wait, without the root.
fn waits(trace: &Trace) -> Vec<(String, Duration)> {
    let paths = trace.paths().filter(|(path, _)| path.contains("SLEEP") && !path.contains("QUEUE"));
    paths.map(|(path, time)| (path.split_once(';').map_or("", |(_, path)| path).to_owned(), time)).collect()
}

fn short(path: &str) -> String {
    let modules = ["channels::", "combinators::", "gathered::", "io::", "measures::", "tasks::"];
    modules.iter().fold(path.to_owned(), |path, module| path.replace(&format!("native_waits::{module}"), ""))
}

/// That the longest waiting of `trace` stands under `expected`: frames, of which a `*` leaves the rest of one open.
#[track_caller]
fn waits_at(trace: &Trace, expected: &str) {
    longest_waits_at(trace, &[expected]);
}

/// As `waits_at`, of as many waits as are expected, in any order.
#[track_caller]
fn longest_waits_at(trace: &Trace, expected: &[impl AsRef<str> + Debug]) {
    let mut waits = waits(trace);
    waits.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    let longest: Vec<_> = waits.iter().take(expected.len()).map(|(path, _)| short(path)).collect();
    let is_there = |expected: &str| longest.iter().any(|path| is_like(path, expected));
    assert!(expected.iter().all(|expected| is_there(expected.as_ref())), "expected {expected:#?}, found {waits:#?}");
}

fn is_like(path: &str, pattern: &str) -> bool {
    let is_frame = |(frame, pattern): (&str, &str)| match pattern.strip_suffix('*') {
        Some(prefix) => frame.starts_with(prefix),
        None => frame == pattern,
    };
    let (frames, patterns) = (path.split(';'), pattern.split(';'));
    frames.clone().count() == patterns.clone().count() && frames.zip(patterns).all(is_frame)
}

#[path = "native_waits/channels.rs"]
mod channels;
#[path = "native_waits/combinators.rs"]
mod combinators;
#[path = "native_waits/gathered.rs"]
mod gathered;
#[path = "native_waits/io.rs"]
mod io;
#[path = "native_waits/measures.rs"]
mod measures;
#[path = "native_waits/replaced.rs"]
mod replaced;
#[path = "native_waits/tasks.rs"]
mod tasks;
