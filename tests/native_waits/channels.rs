use std::sync::Arc;

use tokio::sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::time::sleep;

use super::{SHORT, trace, waits_at};

pub(super) async fn sleeps() {
    inner_sleep().await;
}

async fn inner_sleep() {
    sleep(SHORT).await;
}

#[test]
fn a_sleep_is_answered_by_nobody() {
    waits_at(&trace(sleeps()), "sleeps;inner_sleep;tokio::time::sleep*;SLEEP");
}

async fn gets_oneshot() {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(answers_oneshot(sender));
    receiver.await.unwrap();
}

async fn answers_oneshot(sender: oneshot::Sender<()>) {
    sleep(SHORT).await;
    sender.send(()).unwrap();
}

#[test]
fn a_oneshot() {
    waits_at(&trace(gets_oneshot()), "gets_oneshot;tokio::sync::oneshot*;SLEEP;CALL answers_oneshot");
}

async fn gets_mpsc() {
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(answers_mpsc(sender));
    receiver.recv().await.unwrap();
}

async fn answers_mpsc(sender: mpsc::Sender<()>) {
    sleep(SHORT).await;
    sender.send(()).await.unwrap();
}

#[test]
fn an_mpsc_channel() {
    waits_at(&trace(gets_mpsc()), "gets_mpsc;tokio::sync::mpsc*;SLEEP;CALL answers_mpsc");
}

async fn gets_broadcast() {
    let (sender, mut receiver) = broadcast::channel(1);
    tokio::spawn(answers_broadcast(sender));
    receiver.recv().await.unwrap();
}

async fn answers_broadcast(sender: broadcast::Sender<()>) {
    sleep(SHORT).await;
    sender.send(()).unwrap();
}

#[test]
fn a_broadcast_channel() {
    waits_at(&trace(gets_broadcast()), "gets_broadcast;tokio::sync::broadcast*;SLEEP;CALL answers_broadcast");
}

async fn gets_watch() {
    let (sender, mut receiver) = watch::channel(());
    tokio::spawn(answers_watch(sender));
    receiver.changed().await.unwrap();
}

async fn answers_watch(sender: watch::Sender<()>) {
    sleep(SHORT).await;
    sender.send(()).unwrap();
    sleep(SHORT).await;
}

#[test]
fn a_watch_channel() {
    waits_at(&trace(gets_watch()), "gets_watch;tokio::sync::watch*;SLEEP;CALL answers_watch");
}

async fn locks_mutex() {
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.clone().lock_owned().await;
    tokio::spawn(holds(held));
    let _guard = mutex.lock().await;
}

async fn holds<G>(guard: G) {
    sleep(SHORT).await;
    drop(guard);
}

#[test]
fn a_mutex_and_who_held_it() {
    waits_at(&trace(locks_mutex()), "locks_mutex;tokio::sync::*;SLEEP;CALL holds");
}

async fn locks_rwlock() {
    let lock = Arc::new(RwLock::new(()));
    let held = lock.clone().write_owned().await;
    tokio::spawn(holds(held));
    let _guard = lock.read().await;
}

#[test]
fn a_rwlock_and_who_held_it() {
    waits_at(&trace(locks_rwlock()), "locks_rwlock;tokio::sync::*;SLEEP;CALL holds");
}

async fn writes_rwlock() {
    let lock = Arc::new(RwLock::new(()));
    let held = lock.clone().read_owned().await;
    tokio::spawn(holds(held));
    let _guard = lock.write().await;
}

#[test]
fn a_rwlock_and_who_read_it() {
    waits_at(&trace(writes_rwlock()), "writes_rwlock;tokio::sync::*;SLEEP;CALL holds");
}

async fn acquires() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.clone().acquire_owned().await.unwrap();
    tokio::spawn(holds(held));
    let _permit = semaphore.acquire().await.unwrap();
}

#[test]
fn a_semaphore_and_who_held_it() {
    waits_at(&trace(acquires()), "acquires;tokio::sync::*;SLEEP;CALL holds");
}

async fn is_notified() {
    let notify = Arc::new(Notify::new());
    tokio::spawn(notifies(notify.clone()));
    notify.notified().await;
}

async fn notifies(notify: Arc<Notify>) {
    sleep(SHORT).await;
    notify.notify_one();
}

#[test]
fn a_notification() {
    waits_at(&trace(is_notified()), "is_notified;tokio::sync::notify*;SLEEP;CALL notifies");
}
