//! Starts a session for each trace, and knows the live ones.
//!
//! - **Parent:** `Supervisor`, permanent.
//! - **Restart:** its sessions end with it (ractor kills them); each counts its trace and closes its recorder.
//! - **Overload:** none here, `max_active_traces` is enforced at admission.
//! - **Shutdown:** stopped after the Collector, when the sessions have had their time.

use std::sync::Arc;

use ractor::{ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};

use super::local_message;
use super::parts::Parts;
use super::trace_session::{TraceSession, TraceSessionMsg};
use crate::capture::trace::SharedTrace;
use crate::model::frame_hash::IdMap;

/// A session and the trace that it reads.
#[derive(Debug, Clone)]
pub(crate) struct LiveSession {
    pub(crate) actor: ActorRef<TraceSessionMsg>,
    pub(crate) trace: Arc<SharedTrace>,
}

/// Requests to the supervisor of sessions.
#[derive(Debug)]
pub(crate) enum SessionsMsg {
    /// Called by the Collector: starts a session.
    Spawn(Arc<SharedTrace>, RpcReplyPort<ActorRef<TraceSessionMsg>>),
    /// Called by a restarted Collector: all live sessions.
    List(RpcReplyPort<Vec<LiveSession>>),
}
local_message!(SessionsMsg);

pub(crate) struct TraceSessionSupervisor;

pub(crate) struct State {
    parts: Arc<Parts>,
    live: IdMap<ActorId, LiveSession>,
}

impl TraceSessionSupervisor {
    /// Starts it as a child of `parent`.
    pub(crate) async fn start_link(parts: Arc<Parts>, parent: ActorCell) -> Result<ActorRef<SessionsMsg>, SpawnErr> {
        Ok(ractor::Actor::spawn_linked(None, Self, parts, parent).await?.0)
    }
}

#[ractor::actor(message = SessionsMsg, state = State, arguments = Arc<Parts>)]
impl TraceSessionSupervisor {
    async fn pre_start(&self, _myself: ActorRef<SessionsMsg>, parts: Arc<Parts>) -> Result<State, ActorProcessingErr> {
        Ok(State { parts, live: IdMap::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionsMsg>,
        message: SessionsMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionsMsg::Spawn(trace, reply) => state.spawn(trace, reply, &myself).await,
            SessionsMsg::List(reply) => {
                // `Err`: the Collector has gone, and its successor will ask again.
                reply.send(state.live.values().cloned().collect()).ok();
            }
        }
        Ok(())
    }

    // Sessions are temporary: whatever ended one, it is forgotten and nothing else happens.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SessionsMsg>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorTerminated(child, ..) | SupervisionEvent::ActorFailed(child, _) = event {
            state.live.remove(&child.get_id());
        }
        Ok(())
    }
}

impl State {
    /// Does not reply when the session could not be started: the dropped port tells the Collector.
    async fn spawn(
        &mut self,
        trace: Arc<SharedTrace>,
        reply: RpcReplyPort<ActorRef<TraceSessionMsg>>,
        myself: &ActorRef<SessionsMsg>,
    ) {
        let started = TraceSession::start_link(self.parts.clone(), trace.clone(), myself.get_cell()).await;
        let Ok(actor) = started else { return };
        if reply.send(actor.clone()).is_err() {
            // The Collector has given up on this trace and settled it.
            actor.stop(None);
        }
        self.live.insert(actor.get_id(), LiveSession { actor, trace });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
