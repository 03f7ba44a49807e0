//! Ships finished traces in batches, one batch at a time.
//!
//! Traces wait in the outbox; this mailbox carries signals only. The adapter runs on the blocking pool.
//!
//! - **Parent:** `Supervisor`, permanent.
//! - **Restart:** traces stay in the outbox; a batch in flight is finished and counted by its own task.
//! - **Overload:** the outbox evicts the oldest and counts it.
//! - **Shutdown:** `ShipAll` with what is left of the limit, then the adapter is closed.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, MessagingErr, RpcReplyPort, SpawnErr};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::in_flight::Flight;
use super::local_message;
use super::log::warn_limited;
use super::parts::Parts;
use crate::shipping::adapter::ShipContext;
use crate::shipping::contained::Outcome;
use crate::shipping::trace::Batch as _;

/// Time that an adapter gets to close.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// A batch is tried once.
const FIRST_ATTEMPT: u32 = 1;

/// Signals to the shipper.
#[derive(Debug)]
pub(crate) enum ShipperMsg {
    /// Cast by the interval timer, and once at the start: ship what waits.
    Flush,
    /// Cast by the main loop: the interval or the size of a batch may be another one.
    Reloaded,
    /// Cast by the outbox: a full batch waits.
    BatchWaits,
    /// Cast by the sending task as its last act.
    BatchDone,
    /// Called by `flush` and at shutdown: the reply comes when nothing waits or the limit has passed.
    ShipAll(Duration, RpcReplyPort<()>),
    /// Cast by the timer of a `ShipAll`.
    Expire,
}
local_message!(ShipperMsg);

pub(crate) struct Shipper;

pub(crate) struct State {
    parts: Arc<Parts>,
    /// A batch below the full size may go too, until nothing waits.
    is_flushing: bool,
    /// Casts the next `Flush`.
    timer: Option<Timer>,
    waiting: Vec<Waiting>,
}

type Timer = JoinHandle<Result<(), MessagingErr<ShipperMsg>>>;

struct Waiting {
    deadline: Instant,
    reply: RpcReplyPort<()>,
}

impl Shipper {
    /// Starts the shipper as a child of `parent` and connects the outbox to it.
    pub(crate) async fn start_link(parts: Arc<Parts>, parent: ActorCell) -> Result<ActorRef<ShipperMsg>, SpawnErr> {
        Ok(ractor::Actor::spawn_linked(None, Self, parts, parent).await?.0)
    }
}

#[ractor::actor(message = ShipperMsg, state = State, arguments = Arc<Parts>)]
impl Shipper {
    async fn pre_start(&self, myself: ActorRef<ShipperMsg>, parts: Arc<Parts>) -> Result<State, ActorProcessingErr> {
        // A predecessor may have left traces behind.
        myself.cast(ShipperMsg::Flush)?;
        parts.outbox.connect(move || {
            // `Err`: this instance is gone, and the next one looks for itself.
            myself.cast(ShipperMsg::BatchWaits).ok();
        });
        Ok(State { parts, is_flushing: false, timer: None, waiting: Vec::new() })
    }

    // Always `Ok`: an `Err` here stops the actor, and a failed batch is an expected event.
    async fn handle(
        &self,
        myself: ActorRef<ShipperMsg>,
        message: ShipperMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShipperMsg::Flush => {
                state.is_flushing = true;
                state.set_timer(&myself);
            }
            ShipperMsg::Reloaded => state.set_timer(&myself),
            ShipperMsg::BatchWaits | ShipperMsg::BatchDone => {}
            ShipperMsg::ShipAll(limit, reply) => state.wait_for_all(limit, reply, &myself),
            ShipperMsg::Expire => state.expire(),
        }
        state.send_next();
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<ShipperMsg>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.parts.adapter.clone().close(CLOSE_LIMIT).await;
        Ok(())
    }
}

impl State {
    /// Starts sending the next batch unless one is in flight or none is due.
    fn send_next(&mut self) {
        let Some(place) = self.parts.in_flight.try_enter() else { return };
        let is_due = self.is_flushing || !self.waiting.is_empty() || self.parts.outbox.has_full_batch();
        let batch = if is_due { self.parts.outbox.take_batch() } else { Vec::new() };
        if batch.is_empty() {
            drop(place);
            return self.nothing_waits(is_due);
        }
        let parts = self.parts.clone();
        let flight = Flight::new(batch, place, &parts.in_flight, parts.core.counters.clone());
        tokio::spawn(async move { send(&parts, flight).await });
    }

    /// One at a time, so that a reload changes the interval now.
    fn set_timer(&mut self, myself: &ActorRef<ShipperMsg>) {
        let timer = myself.send_after(self.parts.limits().flush_interval, || ShipperMsg::Flush);
        if let Some(earlier) = self.timer.replace(timer) {
            earlier.abort();
        }
    }

    fn nothing_waits(&mut self, has_looked: bool) {
        if has_looked {
            self.is_flushing = false;
            for waiting in self.waiting.drain(..) {
                // `Err`: whoever waited has given up.
                waiting.reply.send(()).ok();
            }
        }
    }

    fn wait_for_all(&mut self, limit: Duration, reply: RpcReplyPort<()>, myself: &ActorRef<ShipperMsg>) {
        self.waiting.push(Waiting { deadline: Instant::now() + limit, reply });
        // The timer's handle is of no use: it fires into a mailbox that ignores it.
        drop(myself.send_after(limit, || ShipperMsg::Expire));
    }

    fn expire(&mut self) {
        let now = Instant::now();
        for waiting in self.waiting.extract_if(.., |waiting| waiting.deadline <= now) {
            waiting.reply.send(()).ok();
        }
    }
}

/// Sends one batch and counts what became of it. Its own task, so that it survives the actor.
async fn send(parts: &Parts, flight: Flight) {
    let (batch, limit) = (flight.batch.clone(), parts.limits().send_timeout);
    let traces = batch.items().len();
    let context = ShipContext::new(&parts.origin, FIRST_ATTEMPT);
    let sent = parts.adapter.send(batch, context, limit);
    let outcome = tokio::select! {
        biased;
        outcome = sent => outcome,
        () = parts.in_flight.given_up() => return,
    };
    flight.land(&outcome);
    if !matches!(outcome, Outcome::Accepted) {
        warn_limited!("{traces} traces were not shipped: {outcome}");
    }
    parts.slots.shipper.cast(ShipperMsg::BatchDone);
}
