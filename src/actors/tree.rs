//! The running tree, as the agent's main loop holds it.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use ractor::rpc::CallResult;
use tokio::task::JoinHandle;

use super::parts::{CALL_LIMIT, Parts};
use super::supervisor::{Supervisor, SupervisorMsg};

/// Owns the supervisor, and with it every actor.
#[derive(Debug)]
pub(crate) struct Tree {
    supervisor: ActorRef<SupervisorMsg>,
    ended: JoinHandle<()>,
}

impl Tree {
    /// Starts the whole tree.
    ///
    /// # Errors
    /// When an actor does not come up; says which and why.
    pub(crate) async fn start(parts: Arc<Parts>) -> Result<Self, String> {
        let (supervisor, ended) = Supervisor::start(parts).await.map_err(|error| error.to_string())?;
        Ok(Self { supervisor, ended })
    }

    /// Waits until the supervisor has ended.
    pub(crate) async fn ended(&mut self) {
        // `Err`: it panicked, which is an end too.
        (&mut self.ended).await.ok();
    }

    /// Finishes, ships and stops everything; says whether that was done within the limit.
    pub(crate) async fn shut_down(&self, limit: Duration) -> bool {
        // Stopping comes after shipping and takes its own, short time.
        let patience = limit.saturating_add(CALL_LIMIT);
        let asked = self.supervisor.call(|reply| SupervisorMsg::Shutdown(limit, reply), Some(patience)).await;
        self.supervisor.kill();
        matches!(asked, Ok(CallResult::Success(true)))
    }

    /// Ends it as a crash would.
    #[cfg(feature = "testing")]
    pub(crate) fn kill(&self) {
        self.supervisor.kill();
    }
}
