//! Takes up admitted traces, has a session started for each, and follows it to its end.
//!
//! Host threads leave their signals in the capture's inbox; this mailbox carries one cast for all of them.
//!
//! - **Parent:** `Supervisor`, permanent.
//! - **Restart:** learns the live sessions again from the TraceSessionSupervisor; the inbox keeps its signals.
//! - **Overload:** where neither the table of fresh traces nor the inbox has room, a new trace is refused and counted.
//! - **Shutdown:** first to stop, after it has finished every trace or the limit has passed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorId, ActorProcessingErr, ActorRef, ActorStatus, RpcReplyPort, SpawnErr, SupervisionEvent};

use super::local_message;
use super::parts::{CALL_LIMIT, Parts};
use super::trace_session::TraceSessionMsg;
use super::trace_session_supervisor::{LiveSession, SessionsMsg};
use crate::capture::trace::SharedTrace;
use crate::model::counters::Count;
use crate::model::frame_hash::IdMap;

/// How often every live session is asked to look at its trace, and traces that have not signalled yet are taken up:
/// finds what a full inbox did not tell.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Signals to the Collector.
#[derive(Debug)]
pub(crate) enum CollectorMsg {
    /// Cast when host threads have left signals.
    Drain,
    /// Cast by a timer.
    Sweep,
    /// Called by `flush`: the reply comes when all traces that have ended by now are finished.
    Flush(RpcReplyPort<()>),
    /// Called at shutdown: as `Flush`, of all traces, which are cut here.
    FinishAll(RpcReplyPort<()>),
}
local_message!(CollectorMsg);

pub(crate) struct Collector;

pub(crate) struct State {
    parts: Arc<Parts>,
    by_label: IdMap<u64, LiveSession>,
    labels: IdMap<ActorId, u64>,
    waiting: Vec<Waiting>,
}

/// Somebody waits until these traces are finished.
struct Waiting {
    labels: HashSet<u64>,
    reply: RpcReplyPort<()>,
}

impl Collector {
    /// Starts the Collector as a child of `parent`.
    pub(crate) async fn start_link(parts: Arc<Parts>, parent: ActorCell) -> Result<ActorRef<CollectorMsg>, SpawnErr> {
        Ok(ractor::Actor::spawn_linked(None, Self, parts, parent).await?.0)
    }
}

#[ractor::actor(message = CollectorMsg, state = State, arguments = Arc<Parts>)]
impl Collector {
    async fn pre_start(&self, myself: ActorRef<CollectorMsg>, parts: Arc<Parts>) -> Result<State, ActorProcessingErr> {
        let mut state = State { parts, by_label: IdMap::default(), labels: IdMap::default(), waiting: Vec::new() };
        state.learn_live_sessions(&myself).await;
        myself.cast(CollectorMsg::Drain)?;
        myself.send_interval(SWEEP_INTERVAL, || CollectorMsg::Sweep);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<CollectorMsg>,
        message: CollectorMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CollectorMsg::Drain => state.drain(&myself).await,
            CollectorMsg::Sweep => state.sweep(&myself).await,
            CollectorMsg::Flush(reply) => state.flush(&myself, reply, false).await,
            CollectorMsg::FinishAll(reply) => state.flush(&myself, reply, true).await,
        }
        Ok(())
    }

    // Told of every session's end, however it ended, because it monitors them.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<CollectorMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(session, ..) | SupervisionEvent::ActorFailed(session, _) = event {
            state.forget(session.get_id());
        }
        Ok(())
    }
}

impl State {
    async fn learn_live_sessions(&mut self, myself: &ActorRef<CollectorMsg>) {
        let sessions = self.parts.slots.sessions.call(SessionsMsg::List, CALL_LIMIT).await;
        for session in sessions.into_iter().flatten() {
            self.follow(session, myself);
        }
    }

    async fn drain(&mut self, myself: &ActorRef<CollectorMsg>) {
        let core = self.parts.core.clone();
        for item in core.inbox.drain() {
            let trace = item.into_trace();
            // Whose session is over is not taken up again: it has been before.
            if !self.wake_session(trace.label) {
                self.take_up(trace, myself).await;
            }
        }
    }

    async fn take_up_fresh(&mut self, myself: &ActorRef<CollectorMsg>) {
        let core = self.parts.core.clone();
        for trace in core.fresh.take_all() {
            self.take_up(trace, myself).await;
        }
    }

    /// The synchronous call that has a session started. Without one the trace is over.
    async fn take_up(&mut self, trace: Arc<SharedTrace>, myself: &ActorRef<CollectorMsg>) {
        if !trace.take_up() {
            return;
        }
        let request = trace.clone();
        let spawned = self.parts.slots.sessions.call(|reply| SessionsMsg::Spawn(request, reply), CALL_LIMIT).await;
        match spawned {
            Some(actor) => self.follow(LiveSession { actor, trace }, myself),
            None => {
                trace.settle(Count::SessionNotSpawned);
                trace.close();
            }
        }
    }

    fn follow(&mut self, session: LiveSession, myself: &ActorRef<CollectorMsg>) {
        let (id, label) = (session.actor.get_id(), session.trace.label);
        myself.monitor(session.actor.get_cell());
        self.labels.insert(id, label);
        // `Err`: it has ended already, which the status tells.
        session.actor.cast(TraceSessionMsg::Drain).ok();
        let status = session.actor.get_status();
        self.by_label.insert(label, session);
        // Monitoring an actor that is already dead delivers nothing.
        if matches!(status, ActorStatus::Stopping | ActorStatus::Stopped) {
            self.forget(id);
        }
    }

    /// False when the trace has no session.
    fn wake_session(&self, label: u64) -> bool {
        let Some(session) = self.by_label.get(&label) else { return false };
        // `Err`: its end is on the way to us.
        session.actor.cast(TraceSessionMsg::Drain).ok();
        true
    }

    async fn sweep(&mut self, myself: &ActorRef<CollectorMsg>) {
        for session in self.by_label.values() {
            session.actor.cast(TraceSessionMsg::Drain).ok();
        }
        let dead = |session: &LiveSession| session.actor.get_status() == ActorStatus::Stopped;
        let dead: Vec<_> = self.by_label.values().filter(|s| dead(s)).map(|s| s.actor.get_id()).collect();
        for id in dead {
            self.forget(id);
        }
        self.take_up_fresh(myself).await;
        if !self.parts.core.inbox.is_empty() {
            myself.cast(CollectorMsg::Drain).ok();
        }
    }

    fn forget(&mut self, session: ActorId) {
        let Some(label) = self.labels.remove(&session) else { return };
        self.by_label.remove(&label);
        for waiting in &mut self.waiting {
            waiting.labels.remove(&label);
        }
        for done in self.waiting.extract_if(.., |waiting| waiting.labels.is_empty()) {
            // `Err`: whoever waited has given up.
            done.reply.send(()).ok();
        }
    }

    async fn flush(&mut self, myself: &ActorRef<CollectorMsg>, reply: RpcReplyPort<()>, cut: bool) {
        self.drain(myself).await;
        self.take_up_fresh(myself).await;
        let mut labels = HashSet::new();
        for (label, session) in &self.by_label {
            if cut || session.trace.ended().is_some() {
                let message = if cut { TraceSessionMsg::Cut } else { TraceSessionMsg::Drain };
                session.actor.cast(message).ok();
                labels.insert(*label);
            }
        }
        if labels.is_empty() {
            reply.send(()).ok();
        } else {
            self.waiting.push(Waiting { labels, reply });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
