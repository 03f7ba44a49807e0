//! Ships finished items of one kind in batches, one batch at a time.
//!
//! Items wait in the queue's outbox; this mailbox carries signals only. The adapter runs on the blocking pool.
//!
//! - **Parent:** `Supervisor`, permanent.
//! - **Restart:** items stay in the outbox; a batch in flight is finished and counted by its own task.
//! - **Overload:** the outbox evicts the oldest and counts it.
//! - **A destination that fails:** the batch waits in the outbox until its next try is due.
//! - **Shutdown:** `ShipAll` with what is left of the limit, then the adapter is closed.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, MessagingErr, RpcReplyPort, SpawnErr};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::local_message;
use super::ship_queue::{ShipQueue, Step};
use crate::shipping::batch::Batch;

/// Time that an adapter gets to close.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// Signals to the shipper.
#[derive(Debug)]
pub(crate) enum ShipperMsg {
    /// Cast to itself at the start: look at the outbox.
    Started,
    /// Cast by the interval timer: ship what waits.
    Flush,
    /// Cast by the main loop: the interval or the size of a batch may be another one.
    Reloaded,
    /// Cast by the outbox: a full batch waits.
    BatchWaits,
    /// Cast by the sending task as its last act.
    BatchDone,
    /// Cast by its own timer: the next try of a failed batch is due.
    TryAgain,
    /// Called by `flush` and at shutdown: the reply comes when nothing waits, or the limit has passed, or is sure
    /// to pass before the next try.
    ShipAll(Duration, RpcReplyPort<()>),
    /// Cast by the timer of a `ShipAll`.
    Expire,
}
local_message!(ShipperMsg);

pub(crate) struct Shipper<B>(PhantomData<fn() -> B>);

pub(crate) struct State<B: Batch> {
    queue: Arc<ShipQueue<B>>,
    /// A batch below the full size may go too, until nothing waits.
    is_flushing: bool,
    /// Casts the next `Flush`.
    flush_timer: Option<Timer>,
    /// Casts the next `TryAgain`.
    retry_timer: Option<Timer>,
    waiting: Vec<Waiting>,
}

type Timer = JoinHandle<Result<(), MessagingErr<ShipperMsg>>>;

struct Waiting {
    deadline: Instant,
    reply: RpcReplyPort<()>,
}

impl<B: Batch> Shipper<B> {
    /// Starts the shipper of `queue` as a child of `parent` and connects its outbox to it.
    pub(crate) async fn start_link(
        queue: Arc<ShipQueue<B>>,
        parent: ActorCell,
    ) -> Result<ActorRef<ShipperMsg>, SpawnErr> {
        Ok(ractor::Actor::spawn_linked(None, Self(PhantomData), queue, parent).await?.0)
    }
}

#[ractor::actor(message = ShipperMsg, state = State<B>, arguments = Arc<ShipQueue<B>>)]
impl<B: Batch> Shipper<B> {
    async fn pre_start(
        &self,
        myself: ActorRef<ShipperMsg>,
        queue: Arc<ShipQueue<B>>,
    ) -> Result<State<B>, ActorProcessingErr> {
        // A predecessor may have left items behind. What comes from now on waits for the interval.
        let is_flushing = queue.has_unshipped();
        let mut state =
            State { queue: queue.clone(), is_flushing, flush_timer: None, retry_timer: None, waiting: Vec::new() };
        state.begin_interval(&myself);
        myself.cast(ShipperMsg::Started)?;
        let bell = queue.bell.clone();
        queue.outbox.connect(move || match &bell {
            Some(bell) => bell.notify_one(),
            // `Err`: this instance is gone, and the next one looks for itself.
            None => myself.cast(ShipperMsg::BatchWaits).unwrap_or_default(),
        });
        Ok(state)
    }

    // Always `Ok`: an `Err` here stops the actor, and a failed batch is an expected event.
    async fn handle(
        &self,
        myself: ActorRef<ShipperMsg>,
        message: ShipperMsg,
        state: &mut State<B>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShipperMsg::Flush => {
                state.is_flushing = true;
                state.begin_interval(&myself);
            }
            ShipperMsg::Reloaded => state.set_flush_timer(&myself),
            ShipperMsg::Started | ShipperMsg::BatchWaits | ShipperMsg::BatchDone | ShipperMsg::TryAgain => {}
            ShipperMsg::ShipAll(limit, reply) => state.wait_for_all(limit, reply, &myself),
            ShipperMsg::Expire => state.expire(Instant::now()),
        }
        state.send_next(&myself);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<ShipperMsg>, state: &mut State<B>) -> Result<(), ActorProcessingErr> {
        state.queue.close_adapter(CLOSE_LIMIT).await;
        Ok(())
    }
}

impl<B: Batch> State<B> {
    fn send_next(&mut self, myself: &ActorRef<ShipperMsg>) {
        let is_flushing = self.is_flushing || !self.waiting.is_empty();
        let queue = self.queue.clone();
        match queue.next_step(is_flushing, Instant::now()) {
            Step::NotDue => {}
            Step::Idle => self.nothing_waits(),
            Step::Wait(until) => self.try_again(until, myself),
            Step::Send(flight) => drop(tokio::spawn(async move { queue.send(flight).await })),
            Step::Spool(flight) => drop(tokio::spawn(async move { queue.spool_instead(flight).await })),
            Step::SendSpooled(place) => drop(tokio::spawn(async move { queue.send_spooled(place).await })),
        }
    }

    fn begin_interval(&mut self, myself: &ActorRef<ShipperMsg>) {
        self.queue.look_for_spooled(Instant::now());
        self.set_flush_timer(myself);
    }

    /// One at a time, so that a reload changes the interval now.
    fn set_flush_timer(&mut self, myself: &ActorRef<ShipperMsg>) {
        let timer = myself.send_after(self.queue.settings().flush_interval, || ShipperMsg::Flush);
        if let Some(earlier) = self.flush_timer.replace(timer) {
            earlier.abort();
        }
    }

    /// Whoever waits for all to be shipped need not wait for a try that comes too late.
    fn try_again(&mut self, until: Instant, myself: &ActorRef<ShipperMsg>) {
        self.expire(until);
        let pause = until.saturating_duration_since(Instant::now());
        if let Some(earlier) = self.retry_timer.replace(myself.send_after(pause, || ShipperMsg::TryAgain)) {
            earlier.abort();
        }
    }

    fn nothing_waits(&mut self) {
        self.is_flushing = false;
        for waiting in self.waiting.drain(..) {
            // `Err`: whoever waited has given up.
            waiting.reply.send(()).ok();
        }
    }

    fn wait_for_all(&mut self, limit: Duration, reply: RpcReplyPort<()>, myself: &ActorRef<ShipperMsg>) {
        self.queue.hurry();
        self.waiting.push(Waiting { deadline: Instant::now() + limit, reply });
        // The timer's handle is of no use: it fires into a mailbox that ignores it.
        drop(myself.send_after(limit, || ShipperMsg::Expire));
    }

    /// Answers those who wait no longer than this.
    fn expire(&mut self, until: Instant) {
        for waiting in self.waiting.extract_if(.., |waiting| waiting.deadline <= until) {
            waiting.reply.send(()).ok();
        }
    }
}
