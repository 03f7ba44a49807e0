//! Where real leaf futures wait, which branch fired and who answered: by function names, without a frame by hand.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{FrameExt as _, Trace};
use futures::StreamExt as _;
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};

const SHORT: Duration = Duration::from_millis(20);

/// The paths of one traced run of `work` with their own times, on a runtime with two workers.
fn trace<F: Future<Output = ()> + Send + 'static>(work: F) -> Trace {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let agent = TestAgent::start().unwrap();
    let scope = agent.unit("test", || "one");
    runtime.block_on(async { tokio::spawn(scope.run(work)).await.unwrap() });
    agent.traces_blocking().pop().unwrap()
}

/// The paths that end in a wait, without the root.
fn waits(trace: &Trace) -> Vec<(String, Duration)> {
    let paths = trace.paths().filter(|(path, _)| path.contains("SLEEP") && !path.contains("QUEUE"));
    paths.map(|(path, time)| (path.split_once(';').map_or("", |(_, path)| path).to_owned(), time)).collect()
}

fn short(path: &str) -> String {
    path.replace("native_waits::", "")
}

/// That nearly all waiting of `trace` stands under the path `expected`.
#[track_caller]
fn waits_at(trace: &Trace, expected: &str) {
    let waits = waits(trace);
    let longest = waits.iter().max_by_key(|(_, time)| *time).map(|(path, _)| short(path));
    assert_eq!(longest.as_deref(), Some(expected), "all: {waits:#?}");
}

async fn sleeps() {
    inner_sleep().await;
}

async fn inner_sleep() {
    tokio::time::sleep(SHORT).await;
}

#[test]
fn a_sleep() {
    waits_at(&trace(sleeps()), "sleeps;inner_sleep;tokio::time::sleep::Sleep;SLEEP");
}

async fn gets_oneshot() {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(answers_later(sender));
    receiver.await.unwrap();
}

async fn answers_later(sender: oneshot::Sender<()>) {
    tokio::time::sleep(SHORT).await;
    sender.send(()).unwrap();
}

#[test]
fn a_oneshot_and_who_sent() {
    waits_at(&trace(gets_oneshot()), "gets_oneshot;tokio::sync::oneshot::Receiver;SLEEP;CALL answers_later");
}
