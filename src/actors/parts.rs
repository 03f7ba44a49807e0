//! What the actors of one agent share, and what outlives each of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::collector::CollectorMsg;
use super::memory_watcher::MemoryWatcherMsg;
use super::restart::RestartPolicy;
use super::seq_trace_router::SeqTraceRouterMsg;
use super::shipper::ShipperMsg;
use super::slot::Slot;
use super::trace_session_supervisor::SessionsMsg;
use crate::capture::core::CaptureCore;
use crate::runtime::AgentThreads;
use crate::shipping::contained::Contained;
use crate::shipping::outbox::Outbox;
use crate::shipping::trace::{Origin, Trace, TraceBatch};

/// How long one actor waits for another one's answer. They only pass signals on, so a healthy one answers
/// within microseconds; past this it is as good as dead.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(1);

/// Numbers that the actors go by.
#[derive(Debug, Clone)]
pub(crate) struct TreeSettings {
    pub(crate) origin: Arc<Origin>,
    pub(crate) function_length_threshold: f64,
    pub(crate) flush_interval: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) max_trace_duration: Duration,
    pub(crate) max_stacks: usize,
    pub(crate) memory_check_interval: Duration,
    /// `None`: 80 % of the cgroup's limit, else of the machine's memory.
    pub(crate) max_memory_bytes: Option<u64>,
    pub(crate) restart_policy: RestartPolicy,
}

/// See the module.
pub(crate) struct Parts {
    pub(crate) core: Arc<CaptureCore>,
    pub(crate) settings: TreeSettings,
    pub(crate) outbox: Outbox<Trace>,
    pub(crate) adapter: Contained<TraceBatch>,
    /// One batch in flight, also while the Shipper is restarted.
    pub(crate) in_flight: Arc<Semaphore>,
    /// At most `max_concurrent_finalizations` of them.
    pub(crate) finalizations: Arc<Semaphore>,
    pub(crate) slots: Slots,
    /// The agent's own threads, whose CPU time is watched.
    pub(crate) threads: Arc<AgentThreads>,
}

/// The live children of the supervisor.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) memory_watcher: Slot<MemoryWatcherMsg>,
    pub(crate) router: Slot<SeqTraceRouterMsg>,
    pub(crate) shipper: Slot<ShipperMsg>,
    pub(crate) sessions: Slot<SessionsMsg>,
    pub(crate) collector: Slot<CollectorMsg>,
}
