//! What the actors of one agent share, and what outlives each of them.

use std::sync::Arc;
use std::time::Duration;

use super::collector::CollectorMsg;
use super::finalizer::Finalizer;
use super::memory_watcher::MemoryWatcherMsg;
use super::restart::RestartPolicy;
use super::seq_trace_router::SeqTraceRouterMsg;
use super::ship_queue::ShipQueue;
use super::slot::Slot;
use super::trace_session_supervisor::SessionsMsg;
use crate::capture::core::{CaptureCore, InboxItem, Shut};
use crate::model::config::Limits;
use crate::model::counters::Count;
use crate::safety::cpu::threads::AgentThreads;
use crate::shipping::errors::QueuedErrors;
use crate::shipping::trace::{Origin, TraceBatch};
#[cfg(native_capture)]
use crate::symbols::thread::SymbolThread;

/// How long one actor waits for another one's answer. They only pass signals on, so a healthy one answers
/// within microseconds; past this it is as good as dead.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Parts {
    pub(crate) core: Arc<CaptureCore>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) restart_policy: RestartPolicy,
    /// Which children there are: none when nothing is captured.
    pub(crate) has_capture: bool,
    /// Finished traces on their way out.
    pub(crate) traces: Arc<ShipQueue<TraceBatch>>,
    /// Captured errors on their way out; `None` when errors are not captured.
    pub(crate) errors: Option<Arc<ShipQueue<QueuedErrors>>>,
    pub(crate) finalizer: Arc<Finalizer>,
    /// `None` without native capture.
    #[cfg(native_capture)]
    pub(crate) symbols: Option<Arc<SymbolThread>>,
    pub(crate) slots: Slots,
    /// The agent's own threads, whose CPU time is watched.
    pub(crate) threads: Arc<AgentThreads>,
}

impl Parts {
    /// The configuration in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.core.rules().limits.clone()
    }

    /// Whether a finished trace or an error event waits, or is with the adapter.
    pub(crate) fn has_unshipped(&self) -> bool {
        self.traces.has_unshipped() || self.errors.as_ref().is_some_and(|errors| errors.has_unshipped())
    }

    /// Stops waiting for the adapters.
    pub(crate) async fn give_up(&self) {
        self.traces.in_flight.give_up().await;
        if let Some(errors) = &self.errors {
            errors.in_flight.give_up().await;
        }
    }

    /// Counts what no actor will work on any more. Safe to call twice; nothing can wait here afterwards.
    pub(crate) fn settle(&self) {
        self.core.shut(Shut::NotRunning);
        let signalled = self.core.inbox.close().into_iter().map(InboxItem::into_trace);
        for trace in signalled.chain(self.core.fresh.close()) {
            trace.settle(Count::LostAtShutdown);
            trace.close();
        }
        #[cfg(native_capture)]
        self.core.native.iter().for_each(|native| native.stop());
        drop(self.core.routes.inbox.close());
        self.traces.settle();
        self.errors.iter().for_each(|errors| errors.settle());
    }
}

impl Drop for Parts {
    /// However the agent ended: what waits owns the core, and the core owns where it waits.
    fn drop(&mut self) {
        self.settle();
    }
}

/// The live children of the supervisor, except the Shippers, which their queues know.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) memory_watcher: Slot<MemoryWatcherMsg>,
    pub(crate) router: Slot<SeqTraceRouterMsg>,
    pub(crate) sessions: Slot<SessionsMsg>,
    pub(crate) collector: Slot<CollectorMsg>,
}
