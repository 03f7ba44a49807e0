//! The root of the tree: starts the children in order, restarts each by itself, stops them in reverse.
//!
//! - **Restart:** one for one, by the pure policy of [`restart`](super::restart). Past its intensity the agent
//!   goes quiet: no new traces, everything stopped, one line in the log, and the host runs on.
//! - **Shutdown:** `Shutdown` with a limit; each step takes at most what is left of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};

use super::collector::{Collector, CollectorMsg};
use super::local_message;
use super::memory_watcher::MemoryWatcher;
use super::parts::{CALL_LIMIT, Parts};
use super::restart::{Restart, RestartLog};
use super::seq_trace_router::SeqTraceRouter;
use super::shipper::{Shipper, ShipperMsg};
use super::slot::Slot;
use super::trace_session_supervisor::TraceSessionSupervisor;
use crate::capture::core::Shut;
use crate::model::counters::Count;

/// Time that a child gets to handle what it has queued before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Requests to the supervisor.
#[derive(Debug)]
pub(crate) enum SupervisorMsg {
    /// Cast by its own timer when a child's pause before its restart is over.
    Restart(Child),
    /// Called once by the agent's main loop: finishes, ships, and stops everything within the limit.
    /// The reply says whether it was.
    Shutdown(Duration, RpcReplyPort<bool>),
}
local_message!(SupervisorMsg);

/// The children, in the order in which they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Child {
    MemoryWatcher,
    SeqTraceRouter,
    Shipper,
    TraceSessionSupervisor,
    Collector,
    ErrorShipper,
}

impl Child {
    const OF_CAPTURE: [Self; 5] =
        [Self::MemoryWatcher, Self::SeqTraceRouter, Self::Shipper, Self::TraceSessionSupervisor, Self::Collector];

    /// The children that this agent has, in the order in which they start.
    fn all_of(parts: &Parts) -> impl Iterator<Item = Self> + use<> {
        let of_capture = if parts.has_capture { &Self::OF_CAPTURE[..] } else { &[] };
        let of_errors = parts.errors.is_some().then_some(Self::ErrorShipper);
        of_capture.iter().copied().chain(of_errors)
    }
}

pub(crate) struct Supervisor;

pub(crate) struct State {
    parts: Arc<Parts>,
    children: HashMap<ActorId, Child>,
    restarts: RestartLog,
    /// Ends of children are expected now.
    is_stopping: bool,
}

impl Supervisor {
    /// Starts the whole tree; `Err` when a child does not come up. The handle ends with the supervisor.
    pub(crate) async fn start(
        parts: Arc<Parts>,
    ) -> Result<(ActorRef<SupervisorMsg>, tokio::task::JoinHandle<()>), SpawnErr> {
        ractor::Actor::spawn(None, Self, parts).await
    }
}

#[ractor::actor(message = SupervisorMsg, state = State, arguments = Arc<Parts>)]
impl Supervisor {
    async fn pre_start(&self, myself: ActorRef<SupervisorMsg>, parts: Arc<Parts>) -> Result<State, ActorProcessingErr> {
        let restarts = RestartLog::new(parts.restart_policy);
        let mut state = State { parts, children: HashMap::new(), restarts, is_stopping: false };
        for child in Child::all_of(&state.parts) {
            state.start_child(child, &myself).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMsg::Restart(child) => state.restart(child, &myself).await,
            SupervisorMsg::Shutdown(limit, reply) => {
                let is_clean = state.shut_down(limit).await;
                // `Err`: the main loop did not wait that long.
                reply.send(is_clean).ok();
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(child, ..) | SupervisionEvent::ActorFailed(child, _) = event {
            state.child_ended(&child, &myself).await;
        }
        Ok(())
    }
}

impl State {
    async fn start_child(&mut self, child: Child, myself: &ActorRef<SupervisorMsg>) -> Result<(), SpawnErr> {
        let (parts, parent) = (self.parts.clone(), myself.get_cell());
        let slots = &self.parts.slots;
        let id = match child {
            Child::MemoryWatcher => fill(&slots.memory_watcher, MemoryWatcher::start_link(parts, parent).await?),
            Child::SeqTraceRouter => fill(&slots.router, SeqTraceRouter::start_link(parts, parent).await?),
            Child::Shipper => fill(&parts.traces.shipper, Shipper::start_link(parts.traces.clone(), parent).await?),
            Child::TraceSessionSupervisor => {
                fill(&slots.sessions, TraceSessionSupervisor::start_link(parts, parent).await?)
            }
            Child::Collector => fill(&slots.collector, Collector::start_link(parts, parent).await?),
            Child::ErrorShipper => {
                // Always there: only then is it a child.
                let Some(errors) = &parts.errors else { return Ok(()) };
                fill(&errors.shipper, Shipper::start_link(errors.clone(), parent).await?)
            }
        };
        self.children.insert(id, child);
        Ok(())
    }

    async fn child_ended(&mut self, cell: &ActorCell, myself: &ActorRef<SupervisorMsg>) {
        let Some(child) = self.children.remove(&cell.get_id()) else { return };
        if !self.is_stopping {
            self.empty_slot(child);
            self.schedule_restart(child, myself).await;
        }
    }

    async fn schedule_restart(&mut self, child: Child, myself: &ActorRef<SupervisorMsg>) {
        match self.restarts.decide(self.parts.core.now()) {
            Restart::After(Duration::ZERO) => drop(myself.cast(SupervisorMsg::Restart(child))),
            // The timer's handle is of no use: a stopped supervisor ignores the message.
            Restart::After(pause) => drop(myself.send_after(pause, move || SupervisorMsg::Restart(child))),
            Restart::GiveUp => self.give_up(child).await,
        }
    }

    async fn restart(&mut self, child: Child, myself: &ActorRef<SupervisorMsg>) {
        if self.is_stopping {
            return;
        }
        match self.start_child(child, myself).await {
            Ok(()) => self.parts.core.counters.count(Count::Restarts),
            Err(_) => Box::pin(self.schedule_restart(child, myself)).await,
        }
    }

    async fn give_up(&mut self, child: Child) {
        tracing::error!(
            target: "flame_on",
            ?child,
            "FlameOn stops tracing: an actor of its own failed too often; the service is not affected"
        );
        self.shut_down(Duration::ZERO).await;
    }

    /// Ordered stop; says whether all was finished and shipped within the limit. Safe to call twice.
    async fn shut_down(&mut self, limit: Duration) -> bool {
        self.is_stopping = true;
        let parts = self.parts.clone();
        let deadline = Instant::now() + limit;
        parts.core.shut(Shut::NotRunning);
        let is_finished = limit.is_zero() || self.finish_all(limit).await;
        stop(&parts.slots.collector).await;
        stop(&parts.slots.sessions).await;
        if !limit.is_zero() {
            let left = deadline.saturating_duration_since(Instant::now());
            ship_all(&parts, left, left + CALL_LIMIT).await;
        }
        let is_clean = is_finished && !parts.has_unshipped();
        parts.give_up().await;
        if let Some(errors) = &parts.errors {
            stop(&errors.shipper).await;
        }
        stop(&parts.traces.shipper).await;
        stop(&parts.slots.router).await;
        stop(&parts.slots.memory_watcher).await;
        parts.settle();
        is_clean
    }

    /// Has every trace finished, within the limit. Nothing is to be finished where no Collector ever was.
    async fn finish_all(&self, limit: Duration) -> bool {
        let finished = self.parts.slots.collector.call(CollectorMsg::FinishAll, limit).await;
        finished.is_some() || !self.parts.has_capture
    }

    fn empty_slot(&self, child: Child) {
        let slots = &self.parts.slots;
        match child {
            Child::MemoryWatcher => slots.memory_watcher.set(None),
            Child::SeqTraceRouter => slots.router.set(None),
            Child::Shipper => self.parts.traces.shipper.set(None),
            Child::TraceSessionSupervisor => slots.sessions.set(None),
            Child::Collector => slots.collector.set(None),
            Child::ErrorShipper => self.parts.errors.iter().for_each(|errors| errors.shipper.set(None)),
        }
    }
}

/// Has both queues shipped, side by side; says whether both have answered within `patience`.
pub(crate) async fn ship_all(parts: &Parts, limit: Duration, patience: Duration) -> bool {
    let traces = async {
        let asked = parts.traces.shipper.call(|reply| ShipperMsg::ShipAll(limit, reply), patience).await;
        asked.is_some() || !parts.has_capture
    };
    let errors = async {
        let Some(errors) = &parts.errors else { return true };
        errors.shipper.call(|reply| ShipperMsg::ShipAll(limit, reply), patience).await.is_some()
    };
    let (traces, errors) = futures::future::join(traces, errors).await;
    traces && errors
}

fn fill<M: ractor::Message>(slot: &Slot<M>, actor: ActorRef<M>) -> ActorId {
    let id = actor.get_id();
    slot.set(Some(actor));
    id
}

/// Lets an actor handle what it has queued, then ends it either way.
async fn stop<M: ractor::Message>(slot: &Slot<M>) {
    let Some(actor) = slot.get() else { return };
    if actor.drain_and_wait(Some(STOP_LIMIT)).await.is_err() {
        // `Err`: it was dead already.
        actor.kill_and_wait(Some(STOP_LIMIT)).await.ok();
    }
    slot.set(None);
}
