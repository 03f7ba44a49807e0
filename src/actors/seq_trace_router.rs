//! Delivers call messages to the traces that their labels name.
//!
//! Host threads leave messages in the [`Routes`](crate::capture::routes::Routes); this mailbox carries signals.
//!
//! - **Parent:** `Supervisor`, permanent.
//! - **Restart:** labels and waiting messages stay in the routes.
//! - **Overload:** a full queue refuses the message, and its sender counts it.
//! - **Shutdown:** what waits belongs to traces that are over by then.

use std::sync::Arc;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr};

use super::local_message;
use super::parts::Parts;
use crate::model::counters::Count;

/// Signals to the router.
#[derive(Debug)]
pub(crate) enum SeqTraceRouterMsg {
    /// Cast when messages wait.
    Drain,
    /// Called by a session: the reply comes when all that was routed before has been delivered.
    Flush(RpcReplyPort<()>),
}
local_message!(SeqTraceRouterMsg);

pub(crate) struct SeqTraceRouter;

impl SeqTraceRouter {
    /// Starts the router as a child of `parent`.
    pub(crate) async fn start_link(
        parts: Arc<Parts>,
        parent: ActorCell,
    ) -> Result<ActorRef<SeqTraceRouterMsg>, SpawnErr> {
        Ok(ractor::Actor::spawn_linked(None, Self, parts, parent).await?.0)
    }
}

#[ractor::actor(message = SeqTraceRouterMsg, state = Arc<Parts>, arguments = Arc<Parts>)]
impl SeqTraceRouter {
    async fn pre_start(
        &self,
        myself: ActorRef<SeqTraceRouterMsg>,
        parts: Arc<Parts>,
    ) -> Result<Arc<Parts>, ActorProcessingErr> {
        // A predecessor may have left messages behind.
        myself.cast(SeqTraceRouterMsg::Drain)?;
        Ok(parts)
    }

    async fn handle(
        &self,
        _myself: ActorRef<SeqTraceRouterMsg>,
        message: SeqTraceRouterMsg,
        parts: &mut Arc<Parts>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SeqTraceRouterMsg::Drain => deliver_all(parts),
            SeqTraceRouterMsg::Flush(reply) => {
                deliver_all(parts);
                // `Err`: the session has gone, and with it the wish.
                reply.send(()).ok();
            }
        }
        Ok(())
    }
}

/// Delivers what waits now. From any thread: both the queue and the labels are shared.
pub(super) fn deliver_all(parts: &Parts) {
    let core = &parts.core;
    for routed in core.routes.inbox.drain() {
        let is_delivered = core.routes.deliver(routed);
        core.counters.count(if is_delivered { Count::CallsRouted } else { Count::CallsDropped });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
