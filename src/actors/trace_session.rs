//! Reads one trace: events into a call tree, and the tree, when it is worth it, into the outbox.
//!
//! ```text
//! Reading ──end seen, all read──► Settling ──calls delivered──► Finishing ──in the outbox──► stop
//! ```
//! - **Parent:** `TraceSessionSupervisor`, temporary: never restarted.
//! - **Overload:** a recorder that it does not keep up with leaves frames out; past the memory bound the tree
//!   stops growing and time stays with the nearest kept ancestor.
//! - **Shutdown:** `Cut` ends the trace as it stands.
//! - **However it ends**, its drop closes the recorder, frees the permit and settles the trace.

mod assembly;
mod finalize;
#[cfg(native_capture)]
mod naming;

use std::sync::Arc;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, ActorStatus, SpawnErr};
use tokio::task::JoinHandle;

use self::assembly::{Assembly, Progress};
use super::local_message;
use super::parts::{CALL_LIMIT, Parts};
use super::seq_trace_router::{SeqTraceRouterMsg, deliver_all};
use crate::capture::core::Shut;
use crate::capture::trace::SharedTrace;
use crate::model::counters::Count;
use crate::model::trace_event::EndReason;

/// Signals to a session.
#[derive(Debug)]
pub(crate) enum TraceSessionMsg {
    /// Cast by the Collector when there is something to read, and by the session itself when there is more.
    Drain,
    /// Cast by the session's timer at `max_trace_duration_ms`, and by the Collector at shutdown.
    Cut,
    /// Cast by the settling task when all calls routed before the trace's end have been delivered.
    CallsDelivered,
    /// Cast by the finalisation as its last act.
    Finalized,
    /// Cast by tests: the handler panics.
    #[cfg(feature = "testing")]
    Panic,
}
local_message!(TraceSessionMsg);

pub(crate) struct TraceSession;

/// What a session starts from.
pub(crate) struct Arguments {
    parts: Arc<Parts>,
    trace: Arc<SharedTrace>,
    parent: ActorCell,
}

pub(crate) struct State {
    parts: Arc<Parts>,
    trace: Arc<SharedTrace>,
    parent: ActorCell,
    /// `None` once finishing has begun. Boxed: an actor's state is moved several times.
    assembly: Option<Box<Assembly>>,
    is_settling: bool,
    task: Option<AbortOnDrop>,
}

/// A task that must not outlive its session.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TraceSession {
    /// Starts a session for `trace` as a child of `parent`.
    pub(crate) async fn start_link(
        parts: Arc<Parts>,
        trace: Arc<SharedTrace>,
        parent: ActorCell,
    ) -> Result<ActorRef<TraceSessionMsg>, SpawnErr> {
        let arguments = Arguments { parts, trace, parent: parent.clone() };
        Ok(ractor::Actor::spawn_linked(None, Self, arguments, parent).await?.0)
    }
}

#[ractor::actor(message = TraceSessionMsg, state = State, arguments = Arguments)]
impl TraceSession {
    async fn pre_start(
        &self,
        myself: ActorRef<TraceSessionMsg>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { parts, trace, parent } = arguments;
        let assembly = Some(Assembly::new(trace.clone(), &parts.limits()));
        // Most traces have ended by the time that they get a session.
        let task = trace.ended().is_none().then(|| limit_duration(&parts, &trace, myself));
        Ok(State { parts, trace, parent, assembly, is_settling: false, task })
    }

    async fn handle(
        &self,
        myself: ActorRef<TraceSessionMsg>,
        message: TraceSessionMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TraceSessionMsg::Drain => state.read(&myself),
            TraceSessionMsg::Cut => state.cut(&myself),
            TraceSessionMsg::CallsDelivered => state.finish(&myself),
            TraceSessionMsg::Finalized => state.stop(&myself),
            #[cfg(feature = "testing")]
            #[expect(clippy::panic, reason = "what the message is for")]
            TraceSessionMsg::Panic => panic!("a session was told to panic"),
        }
        Ok(())
    }
}

/// Cuts the trace when it has lasted too long. Aborted with the session, so that ended traces leave no timers behind.
fn limit_duration(parts: &Parts, trace: &SharedTrace, session: ActorRef<TraceSessionMsg>) -> AbortOnDrop {
    let age = trace.core.clock.between(trace.started_raw, trace.core.clock.raw());
    let limit = parts.limits().max_trace_duration.saturating_sub(age.into());
    AbortOnDrop(tokio::spawn(async move {
        tokio::time::sleep(limit).await;
        session.cast(TraceSessionMsg::Cut).ok();
    }))
}

impl State {
    fn read(&mut self, myself: &ActorRef<TraceSessionMsg>) {
        if self.is_settling {
            return;
        }
        let Some(assembly) = &mut self.assembly else { return };
        self.trace.acknowledge();
        match assembly.read() {
            // In turns with the other sessions. `Err`: this one is being stopped.
            Progress::More => drop(myself.cast(TraceSessionMsg::Drain)),
            Progress::Idle => {}
            Progress::Ended => self.settle_calls(myself),
        }
    }

    fn cut(&mut self, myself: &ActorRef<TraceSessionMsg>) {
        // Someone else's end stands, if there was one.
        self.trace.end(EndReason::Truncated, self.trace.core.clock.raw());
        self.read(myself);
    }

    /// Waits until what was routed to this trace before its end has arrived.
    fn settle_calls(&mut self, myself: &ActorRef<TraceSessionMsg>) {
        if !self.trace.has_calls() {
            return self.finish(myself);
        }
        self.is_settling = true;
        let (parts, myself) = (self.parts.clone(), myself.clone());
        self.task = Some(AbortOnDrop(tokio::spawn(async move {
            if parts.slots.router.call(SeqTraceRouterMsg::Flush, CALL_LIMIT).await.is_none() {
                // The router is gone, and this trace does not wait for the next one.
                deliver_all(&parts);
            }
            myself.cast(TraceSessionMsg::CallsDelivered).ok();
        })));
    }

    fn finish(&mut self, myself: &ActorRef<TraceSessionMsg>) {
        let Some(assembly) = self.assembly.take() else { return };
        self.trace.stop_recording();
        let Some(job) = assembly.finish(&self.parts) else {
            return self.stop(myself);
        };
        let Err(job) = finalize::run_small(&self.parts, job) else { return self.stop(myself) };
        let (parts, myself) = (self.parts.clone(), myself.clone());
        self.task = Some(AbortOnDrop(tokio::spawn(async move {
            finalize::run(&parts, job).await;
            myself.cast(TraceSessionMsg::Finalized).ok();
        })));
    }
}

impl State {
    /// The trace is settled. Closed here: ractor gives this state to the parent, which may be slow to drop it.
    fn stop(&self, myself: &ActorRef<TraceSessionMsg>) {
        self.trace.close();
        myself.stop(None);
    }

    /// What ended the session when its trace has not been settled.
    fn cause_of_death(&self) -> Count {
        if self.parts.core.is_shut(Shut::NotRunning) {
            Count::LostAtShutdown
        } else if self.parent.get_status() == ActorStatus::Running {
            Count::SessionCrashed
        } else {
            Count::SessionEndedByRestart
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.trace.settle(self.cause_of_death());
        self.trace.close();
    }
}
