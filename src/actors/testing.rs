//! Makes actors fail, for our own tests.

use super::parts::{CALL_LIMIT, Parts};
use super::slot::Slot;
use super::trace_session::TraceSessionMsg;
use super::trace_session_supervisor::{LiveSession, SessionsMsg};

/// Makes the named actor fail; false when there is no such actor alive. The names stand at `FlameOn::__kill`.
pub(crate) async fn fail(parts: &Parts, actor: &str) -> bool {
    let slots = &parts.slots;
    match actor {
        "memory_watcher" => kill(&slots.memory_watcher),
        "router" => kill(&slots.router),
        "shipper" => kill(&parts.traces.shipper),
        "error_shipper" => parts.errors.as_ref().is_some_and(|errors| kill(&errors.shipper)),
        "sessions" => kill(&slots.sessions),
        "collector" => kill(&slots.collector),
        "a_session" => a_session(parts).await.inspect(|session| session.actor.kill()).is_some(),
        "a_session_panics" => {
            a_session(parts).await.is_some_and(|session| session.actor.cast(TraceSessionMsg::Panic).is_ok())
        }
        _ => false,
    }
}

fn kill<M: ractor::Message>(slot: &Slot<M>) -> bool {
    slot.get().inspect(|actor| actor.kill()).is_some()
}

/// Whichever session the supervisor of sessions names first.
async fn a_session(parts: &Parts) -> Option<LiveSession> {
    parts.slots.sessions.call(SessionsMsg::List, CALL_LIMIT).await?.into_iter().next()
}
