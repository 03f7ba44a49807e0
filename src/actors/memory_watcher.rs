//! Watches what the process uses: its memory, for the circuit breaker, and the agent's own CPU time.
//!
//! Reads a few files below `/proc`, which is memory and not I/O: some 30 µs each time.
//!
//! - **Parent:** `Supervisor`, permanent.
//! - **Restart:** goes on from the breaker's state.
//! - **Overload:** none, it has no input but its timer.
//! - **Shutdown:** nothing to do.

use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, MessagingErr, SpawnErr};
use tokio::task::JoinHandle;

use super::local_message;
use super::log::warn_limited;
use super::parts::Parts;
use crate::capture::core::Shut;
use crate::model::counters::Count;
use crate::safety::cpu::shed::CpuShed;
use crate::safety::cpu::{ThreadsCpu, thread_cpu_time};
use crate::safety::memory::limit::memory_limit;
use crate::safety::memory::{MemoryWatch, Verdict, default_max_memory_bytes, resident_anonymous};
use crate::safety::system::{SystemRoot, SystemUnknown};

/// How often the CPU time is read: ten readings in the 10 s over which it is averaged.
const CPU_INTERVAL: Duration = Duration::from_secs(1);

/// Signals to the watcher.
#[derive(Debug)]
pub(crate) enum MemoryWatcherMsg {
    /// Cast by a timer every `memory_check_interval_ms`.
    CheckMemory,
    /// Cast by a timer every second.
    CheckCpu,
    /// Cast by the main loop: the interval or the limit may be another one.
    Reloaded,
}
local_message!(MemoryWatcherMsg);

pub(crate) struct MemoryWatcher;

pub(crate) struct State {
    parts: Arc<Parts>,
    /// `None` where the system does not tell.
    root: Option<SystemRoot>,
    memory: MemoryWatch,
    cpu: ThreadsCpu,
    shed: CpuShed,
    /// Casts the next `CheckMemory`.
    timer: Option<JoinHandle<Result<(), MessagingErr<MemoryWatcherMsg>>>>,
}

impl MemoryWatcher {
    /// Starts the watcher as a child of `parent`.
    pub(crate) async fn start_link(
        parts: Arc<Parts>,
        parent: ActorCell,
    ) -> Result<ActorRef<MemoryWatcherMsg>, SpawnErr> {
        Ok(ractor::Actor::spawn_linked(None, Self, parts, parent).await?.0)
    }
}

#[ractor::actor(message = MemoryWatcherMsg, state = State, arguments = Arc<Parts>)]
impl MemoryWatcher {
    async fn pre_start(
        &self,
        myself: ActorRef<MemoryWatcherMsg>,
        parts: Arc<Parts>,
    ) -> Result<State, ActorProcessingErr> {
        myself.send_interval(CPU_INTERVAL, || MemoryWatcherMsg::CheckCpu);
        let memory = MemoryWatch::new(parts.core.is_shut(Shut::Breaker));
        let root = SystemRoot::host().map_err(|error| cannot_watch(&error)).ok();
        let (cpu, shed) = (ThreadsCpu::default(), CpuShed::default());
        let mut state = State { parts, root, memory, cpu, shed, timer: None };
        state.set_timer(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<MemoryWatcherMsg>,
        message: MemoryWatcherMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            MemoryWatcherMsg::CheckMemory | MemoryWatcherMsg::Reloaded => {
                state.check_memory();
                state.set_timer(&myself);
            }
            MemoryWatcherMsg::CheckCpu => state.check_cpu(),
        }
        Ok(())
    }
}

impl State {
    /// One at a time, so that a reload changes the interval now.
    fn set_timer(&mut self, myself: &ActorRef<MemoryWatcherMsg>) {
        let interval = self.parts.limits().memory_check_interval;
        let timer = myself.send_after(interval, || MemoryWatcherMsg::CheckMemory);
        if let Some(earlier) = self.timer.replace(timer) {
            earlier.abort();
        }
    }

    fn check_memory(&mut self) {
        let core = &self.parts.core;
        core.dedupe.sweep(core.now());
        let Some(root) = &self.root else { return };
        let limit = match self.parts.limits().max_memory_bytes {
            Some(bytes) => Ok(bytes),
            None => memory_limit(root).map(default_max_memory_bytes),
        };
        match resident_anonymous(root).and_then(|resident| Ok((resident, limit?))) {
            Ok((resident, limit)) => self.judge(resident, limit),
            Err(error) => cannot_watch(&error),
        }
    }

    fn judge(&mut self, resident: u64, limit: u64) {
        let core = &self.parts.core;
        match self.memory.decide(resident, limit) {
            Verdict::Trip => {
                core.shut(Shut::Breaker);
                core.counters.count(Count::BreakerTrips);
                // What waits for reuse is of no use now.
                core.release_idle();
                warn_limited!("no new traces: the process uses {resident} bytes of memory, above the limit of {limit}");
            }
            Verdict::Rearm => drop(core.open(Shut::Breaker)),
            Verdict::Stay => {}
        }
    }

    fn check_cpu(&mut self) {
        let Some(root) = &self.root else { return };
        let threads = self.parts.threads.list();
        // A thread that has just ended cannot be read; what it used is gone with it.
        let readings = threads.into_iter().filter_map(|thread| Some((thread, thread_cpu_time(root, thread).ok()?)));
        let used = self.cpu.advance(readings);
        let core = &self.parts.core;
        core.cpu.set(self.shed.decide(core.now(), used));
    }
}

fn cannot_watch(error: &SystemUnknown) {
    warn_limited!("memory and CPU are not watched: {error}");
}
