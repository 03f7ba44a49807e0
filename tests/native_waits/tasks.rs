use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use flame_on::{FrameExt as _, Trace};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, spawn_blocking};
use tokio::time::{Sleep, sleep};

use super::{SHORT, is_like, short, trace, traced, waits, waits_at};

async fn joins() {
    tokio::spawn(is_joined()).await.unwrap();
}

async fn is_joined() {
    sleep(SHORT).await;
}

#[test]
fn a_spawned_task() {
    waits_at(&trace(joins()), "joins;tokio::*;SLEEP;CALL is_joined");
}

async fn joins_blocking() {
    spawn_blocking(blocks).await.unwrap();
}

fn blocks() {
    std::thread::sleep(SHORT);
}

#[test]
fn a_blocking_task_of_a_bare_function_whose_type_has_no_name() {
    waits_at(&trace(joins_blocking()), "joins_blocking;tokio::*;SLEEP");
}

async fn joins_set() {
    let mut set = JoinSet::new();
    set.spawn(is_joined());
    set.join_next().await.unwrap().unwrap();
}

#[test]
fn a_join_set() {
    waits_at(&trace(joins_set()), "joins_set;tokio::*;SLEEP;CALL is_joined");
}

async fn joins_blocks() {
    let named = async { sleep(SHORT).await }.task_named("a name is for what it wakes while it runs");
    tokio::spawn(named).await.unwrap();
    spawn_blocking(|| std::thread::sleep(SHORT)).await.unwrap();
}

#[test]
fn an_async_block_and_a_closure_are_called_by_the_function_that_they_are_in() {
    waits_at(&trace(joins_blocks()), "joins_blocks;tokio::*;SLEEP;CALL joins_blocks");
}

struct Upload(Pin<Box<Sleep>>);

impl Future for Upload {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

async fn joins_upload() {
    tokio::spawn(Upload(Box::pin(sleep(SHORT)))).await.unwrap();
}

#[test]
fn a_future_by_hand_is_called_by_its_type() {
    waits_at(&trace(joins_upload()), "joins_upload;tokio::*;SLEEP;CALL Upload");
}

async fn joins_unknown() {
    let unknown: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(is_joined());
    tokio::spawn(unknown).await.unwrap();
}

#[test]
fn a_future_whose_type_is_hidden_is_not_called_anything() {
    waits_at(&trace(joins_unknown()), "joins_unknown;tokio::*;SLEEP");
}

struct PriceActor;

struct Price(RpcReplyPort<u32>);
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Price {}

// The macro writes the implementation for ractor with and without its `async-trait` feature.
#[ractor::actor(message = Price, state = (), arguments = ())]
impl PriceActor {
    async fn pre_start(&self, _: ActorRef<Price>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Price>, Price(reply): Price, (): &mut ()) -> Result<(), ActorProcessingErr> {
        sleep(SHORT).await;
        reply.send(7).ok();
        Ok(())
    }
}

async fn asks_an_actor() {
    let (actor, _) = Actor::spawn(None, PriceActor, ()).await.unwrap();
    get_price(&actor).await;
    actor.stop(None);
}

async fn get_price(actor: &ActorRef<Price>) {
    let answer = actor.call(Price, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(answer.unwrap(), 7);
}

#[test]
fn a_ractor_call_without_a_word_in_the_actor() {
    waits_at(&trace(asks_an_actor()), "asks_an_actor;get_price;*;SLEEP;CALL PriceActor");
}

async fn waits_for_a_named_task() {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move { sends(sender).await }.task_named("price writer"));
    receiver.await.unwrap();
}

async fn sends(sender: oneshot::Sender<()>) {
    sleep(SHORT).await;
    sender.send(()).unwrap();
}

#[test]
fn a_named_task() {
    waits_at(&trace(waits_for_a_named_task()), "waits_for_a_named_task;tokio::sync::oneshot*;SLEEP;CALL price writer");
}

async fn runs_locally() {
    LocalSet::new().run_until(joins_locally()).await;
}

async fn joins_locally() {
    tokio::task::spawn_local(is_joined()).await.unwrap();
}

fn trace_on_one_thread(work: impl Future<Output = ()>) -> Trace {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    traced(|scope| runtime.block_on(scope.run(work)))
}

#[test]
fn a_local_task_has_the_waker_of_its_local_set() {
    waits_at(&trace_on_one_thread(runs_locally()), "runs_locally;SLEEP;tokio::task::local::LocalSet::run_until");
}

async fn waits_locally() {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(sends(sender));
    LocalSet::new().run_until(gets_locally(receiver)).await;
}

async fn gets_locally(receiver: oneshot::Receiver<()>) {
    receiver.await.unwrap();
}

#[test]
fn the_future_of_a_local_set_waits_where_it_waits() {
    let path = "waits_locally;SLEEP;gets_locally;tokio::sync::oneshot*;CALL sends";
    waits_at(&trace_on_one_thread(waits_locally()), path);
}

async fn receives(mut receiver: mpsc::UnboundedReceiver<()>) {
    while receiver.recv().await.is_some() {}
}

#[test]
fn a_task_whose_budget_has_run_out_waits_for_a_worker_and_for_nobody_else() {
    /// Messages of which each poll may take 128.
    const MESSAGES: usize = 50 * 128;
    let (sender, receiver) = mpsc::unbounded_channel();
    (0..MESSAGES).for_each(|_| sender.send(()).unwrap());
    drop(sender);
    let trace = trace(receives(receiver));
    let paths: Vec<_> = trace.paths().map(|(path, time)| (short(&path), time)).collect();
    let queued = paths.iter().any(|(path, _)| is_like(path, "test one;receives;tokio::sync::mpsc*;SLEEP;QUEUE"));
    assert!(queued && !trace.collapsed().contains("CALL"), "{paths:#?}");
}

async fn yields() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_task_that_yields_waits_for_a_worker_and_for_nobody_else() {
    // The machine may put the worker aside for longer than all the waiting, between a poll's end and its wake.
    let mut seen = Vec::new();
    let is_shown = (0..20).any(|_| {
        let trace = trace(yields());
        assert!(waits(&trace).iter().all(|(path, _)| !path.contains("CALL")), "{:#?}", waits(&trace));
        let queues = trace.paths().filter(|(path, _)| path.ends_with("SLEEP;QUEUE"));
        let queued: Duration = queues.map(|(_, time)| time).sum();
        let slept: Duration = waits(&trace).iter().map(|(_, time)| *time).sum();
        seen.push((queued, slept));
        queued > slept
    });
    assert!(is_shown, "in queues and asleep: {seen:?}");
}

#[test]
fn on_one_thread_a_task_that_yields_is_not_answered_by_who_runs_it() {
    let trace = trace_on_one_thread(yields());
    assert!(waits(&trace).iter().all(|(path, _)| !path.contains("CALL")), "{:#?}", waits(&trace));
}

#[test]
fn on_one_thread_the_end_of_a_task_is_not_answered_by_who_runs_it() {
    waits_at(&trace_on_one_thread(joins()), "joins;tokio::*;SLEEP;CALL is_joined");
}

async fn blocks_in_place() {
    tokio::task::block_in_place(spins);
    sleep(Duration::from_millis(1)).await;
}

fn spins() {
    let start = std::time::Instant::now();
    while start.elapsed() < 10 * SHORT {
        std::hint::black_box(start);
    }
}

#[test]
fn work_in_block_in_place_is_the_function_that_does_it() {
    let trace = trace(blocks_in_place());
    let paths: Vec<_> = trace.paths().map(|(path, time)| (short(&path), time)).collect();
    let spun: Duration =
        paths.iter().filter(|(path, _)| path.contains("blocks_in_place;spins")).map(|path| path.1).sum();
    assert!(spun > 5 * SHORT, "{paths:#?}");
}
