//! An actor of the host as the destination of traces.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use flame_on::ractor::ActorShipper;
use flame_on::testing::TestAgent;
use flame_on::{FlameOn, ShipContext, ShipError, ShipperAdapter, TraceBatch};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::mpsc;

/// What no answer takes.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

type Reply = RpcReplyPort<Result<(), ShipError>>;

enum Uploader {
    Ship(TraceBatch, Reply),
    Keep(Reply),
    Panic(Reply),
}
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Uploader {}

struct UploaderActor {
    shipped: mpsc::UnboundedSender<String>,
}

#[ractor::actor(message = Uploader, state = Vec<Reply>)]
impl UploaderActor {
    async fn pre_start(&self, _: ActorRef<Uploader>, _args: ()) -> Result<Vec<Reply>, ActorProcessingErr> {
        Ok(Vec::new())
    }

    async fn handle(
        &self,
        _: ActorRef<Uploader>,
        message: Uploader,
        kept: &mut Vec<Reply>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Uploader::Ship(batch, reply) => {
                batch.traces().iter().for_each(|trace| self.shipped.send(trace.identifier().to_owned()).unwrap());
                reply.send(Ok(()))?;
            }
            Uploader::Keep(reply) => kept.push(reply),
            Uploader::Panic(_reply) => panic!("as a test wants it"),
        }
        Ok(())
    }
}

const KEEP: fn(TraceBatch, Reply) -> Uploader = |_, reply| Uploader::Keep(reply);
const PANIC: fn(TraceBatch, Reply) -> Uploader = |_, reply| Uploader::Panic(reply);

/// An actor, and what it has shipped.
async fn uploader() -> (ActorRef<Uploader>, mpsc::UnboundedReceiver<String>) {
    let (shipped, received) = mpsc::unbounded_channel();
    (Actor::spawn(None, UploaderActor { shipped }, ()).await.unwrap().0, received)
}

fn agent(actor: &ActorRef<Uploader>, timeout: Duration, build: fn(TraceBatch, Reply) -> Uploader) -> TestAgent {
    let shipper = ActorShipper::new(actor.clone(), timeout, build);
    TestAgent::with(|builder| builder.shipper(shipper).send_timeout(LONG)).unwrap()
}

fn received(shipped: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| shipped.try_recv().ok()).collect()
}

/// That a batch fails and the agent goes on: the next trace is taken up and finished as ever, and both wait.
async fn assert_fails(agent: TestAgent) {
    for round in 1..=2 {
        agent.unit("test", || "lost").in_scope(|| ());
        agent.flush(SHORT).await;
        let stats = agent.stats();
        assert_eq!((stats.started, stats.shipped, stats.lost()), (round, 0, 0), "{stats:?}");
        assert_eq!(stats.rejected + stats.adapter_panics + stats.adapter_abandoned, 0, "{stats:?}");
        assert!(stats.running);
    }
    let flame_on = FlameOn::clone(&agent);
    agent.shutdown().await;
    let stats = flame_on.stats();
    assert_eq!((stats.lost(), stats.outbox_traces, stats.active_traces), (2, 0, 0), "{stats:?}");
}

/// The error that the adapter gives for one batch.
async fn error_of(actor: &ActorRef<Uploader>, build: fn(TraceBatch, Reply) -> Uploader) -> ShipError {
    let batch = {
        let (catcher, mut caught) = (Catcher::default(), None);
        let agent = TestAgent::with(|builder| builder.shipper(catcher.clone())).unwrap();
        agent.unit("test", || "unit").in_scope(|| ());
        agent.flush(LONG).await;
        caught.clone_from(&*catcher.0.lock().unwrap());
        caught.unwrap()
    };
    ActorShipper::new(actor.clone(), SHORT, build).ship(&batch, &ShipContext::default()).await.unwrap_err()
}

/// Keeps the last batch.
#[derive(Clone, Default)]
struct Catcher(std::sync::Arc<std::sync::Mutex<Option<TraceBatch>>>);

impl ShipperAdapter<TraceBatch> for Catcher {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        *self.0.lock().unwrap() = Some(batch.clone());
        Ok(())
    }
}

#[tokio::test]
async fn batches_reach_the_actor_and_its_answer_counts() {
    let (actor, mut shipped) = uploader().await;
    let agent = agent(&actor, LONG, Uploader::Ship);
    for number in 0..5 {
        agent.unit("test", || format!("unit {number}")).in_scope(|| ());
    }
    assert_eq!(agent.flush(LONG).await.shipped, 5);
    let mut identifiers = received(&mut shipped);
    identifiers.sort();
    assert_eq!(identifiers, ["unit 0", "unit 1", "unit 2", "unit 3", "unit 4"]);
}

#[tokio::test]
async fn a_dead_actor_fails_the_batch_and_the_agent_goes_on() {
    let (actor, _shipped) = uploader().await;
    actor.stop_and_wait(None, None).await.unwrap();
    let error = error_of(&actor, Uploader::Ship).await;
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "the shipper actor has stopped");
    assert_fails(agent(&actor, LONG, Uploader::Ship)).await;
}

#[tokio::test]
async fn a_silent_actor_fails_the_batch_after_the_timeout_and_the_agent_goes_on() {
    let (actor, _shipped) = uploader().await;
    let error = error_of(&actor, KEEP).await;
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "the shipper actor did not answer within 20ms");
    assert_fails(agent(&actor, SHORT, KEEP)).await;
}

#[tokio::test]
async fn a_panicking_actor_fails_the_batch_and_the_agent_goes_on() {
    let (actor, _shipped) = uploader().await;
    let error = error_of(&actor, PANIC).await;
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "the shipper actor dropped the reply port");
    let (actor, _shipped) = uploader().await;
    // It panics on the first batch, and is dead for the second.
    assert_fails(agent(&actor, LONG, PANIC)).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_host_of_one_thread_can_ship_through_its_own_actor_until_the_end() {
    let (actor, mut shipped) = uploader().await;
    let agent = agent(&actor, LONG, Uploader::Ship);
    let flame_on = FlameOn::clone(&agent);
    let cut = agent.unit("test", || "cut");
    let (started, is_started) = tokio::sync::oneshot::channel();
    let running = tokio::spawn(cut.run(async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    is_started.await.unwrap();
    agent.unit("test", || "done").in_scope(|| ());
    let begun = Instant::now();
    agent.shutdown().await;
    assert!(begun.elapsed() < LONG);
    let mut identifiers = received(&mut shipped);
    identifiers.sort();
    assert_eq!(identifiers, ["cut", "done"]);
    assert_eq!((flame_on.stats().shipped, flame_on.stats().lost()), (2, 0));
    running.abort();
}
