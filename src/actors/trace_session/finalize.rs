//! From a finished call tree to a trace in the outbox: on the blocking pool, a few at a time, unless it is small.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::assembly::OwnNames;
use crate::actors::parts::Parts;
use crate::capture::trace::SharedTrace;
use crate::encode::profile_filter::filter;
use crate::model::call_tree::CallTree;
use crate::model::counters::Count;
#[cfg(native_capture)]
use crate::model::fold::native::NativeLog;
use crate::model::time::Nanos;
use crate::model::trace_event::EndReason;
use crate::safety::budget::Reservation;
use crate::safety::dedupe::Claim;
use crate::shipping::batch::Item as _;
use crate::shipping::trace::{Origin, Trace, TraceParts};

/// Time for waiting and finishing together. A tree of `max_stacks` nodes takes some 20 ms, so whatever needs
/// this long waits for a machine that has no time for it.
const FINALIZE_LIMIT: Duration = Duration::from_secs(10);
/// The same for a trace with native frames: there is one thread for symbols, it runs behind all others, and the line before
/// it takes a minute at the worst until it moves on without reading.
#[cfg(native_capture)]
const NAMING_LIMIT: Duration = Duration::from_secs(150);

/// Steps of a trace that is finished where its session runs: its nodes, and what naming goes through. Most such traces take 10 µs,
/// and none much more than a tenth of a millisecond; handing one to another thread and being told of its end takes 10 as well.
const SMALL: usize = 256;

/// Everything that a finished trace is made from.
pub(super) struct FinalizeJob {
    pub(super) trace: Arc<SharedTrace>,
    pub(super) tree: CallTree,
    /// What of the tree's times belongs further down.
    #[cfg(native_capture)]
    pub(super) native: Option<NativeLog>,
    pub(super) names: OwnNames,
    pub(super) memory: Option<Reservation>,
    pub(super) claim: HeldClaim,
    pub(super) captured_at: SystemTime,
    pub(super) duration: Nanos,
    pub(super) reason: EndReason,
    pub(super) function_length_threshold: f64,
    pub(super) origin: Arc<Origin>,
}

/// The dedupe window that a trace has closed; open again when the trace gets lost before it is finished.
#[derive(Debug)]
pub(super) struct HeldClaim(Option<Claim>);

impl HeldClaim {
    pub(super) fn new(claim: Option<Claim>) -> Self {
        Self(claim)
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        if let Some(claim) = self.0.take() {
            claim.release();
        }
    }
}

/// A finished trace that nobody has taken yet; dropped before that, it is given up.
pub(super) struct Finished(Option<Trace>);

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(trace) = &self.0 {
            trace.give_up();
        }
    }
}

/// Finishes a small trace at once, and puts it into the outbox or counts why not.
///
/// # Errors
/// The job, when it is for [`run`].
pub(super) fn run_small(parts: &Parts, mut job: Box<FinalizeJob>) -> Result<(), Box<FinalizeJob>> {
    if job.steps() > SMALL {
        return Err(job);
    }
    let trace = job.trace.clone();
    let build = || if job.name_without_reading(parts) { Ok(job.build()) } else { Err(job) };
    // A panic's payload is leaked: its drop could panic again.
    let built = catch_unwind(AssertUnwindSafe(build)).map_err(std::mem::forget).ok().transpose()?;
    hand_over(parts, &trace, built);
    Ok(())
}

/// Finishes the trace and puts it into the outbox, or counts why not.
pub(super) async fn run(parts: &Arc<Parts>, job: Box<FinalizeJob>) {
    let trace = job.trace.clone();
    match timeout(job.limit(), finish(parts, job)).await {
        Ok(finished) => hand_over(parts, &trace, finished),
        Err(_) => trace.settle(Count::FinalizeTimedOut),
    }
}

fn hand_over(parts: &Parts, trace: &SharedTrace, finished: Option<Finished>) {
    match finished.and_then(|mut finished| finished.0.take()) {
        Some(finished) => {
            trace.settle_elsewhere();
            parts.traces.push(finished);
        }
        None => trace.settle(Count::FinalizeFailed),
    }
}

async fn finish(parts: &Arc<Parts>, job: Box<FinalizeJob>) -> Option<Finished> {
    #[cfg(native_capture)]
    if let Some(symbols) = parts.symbols.as_ref().filter(|_| job.native.is_some()) {
        return super::naming::build(parts, symbols, job).await;
    }
    parts.finalizer.run(job, |job| job.build()).await
}

impl FinalizeJob {
    #[cfg(native_capture)]
    fn limit(&self) -> Duration {
        if self.native.is_some() { NAMING_LIMIT } else { FINALIZE_LIMIT }
    }

    #[cfg(not(native_capture))]
    fn limit(&self) -> Duration {
        FINALIZE_LIMIT
    }

    /// See [`SMALL`].
    #[cfg(native_capture)]
    fn steps(&self) -> usize {
        self.tree.nodes() + self.native.as_ref().map_or(0, |log| 4 * log.entries() + log.stacks.stacks_and_pairs())
    }

    #[cfg(not(native_capture))]
    fn steps(&self) -> usize {
        self.tree.nodes()
    }

    /// Names its native frames, where nothing has to be read for that; false where something has.
    #[cfg(native_capture)]
    fn name_without_reading(&mut self, parts: &Parts) -> bool {
        let Some(symbols) = parts.symbols.as_ref().filter(|_| self.native.is_some()) else { return true };
        let Some(chains) = self.known_chains(symbols.known()) else { return false };
        self.name_known(&chains, parts.limits().raw_stacks);
        true
    }

    #[cfg(not(native_capture))]
    fn name_without_reading(&mut self, _: &Parts) -> bool {
        true
    }

    pub(super) fn build(self) -> Finished {
        Finished(Some(self.into_trace()))
    }

    fn into_trace(mut self) -> Trace {
        let header = &self.trace.header;
        let root = format!("{} {}", header.capture.event_name(), self.trace.identifier());
        let profile = self.tree.into_profile(&root, |frame| self.names.named(frame));
        let profile = filter(&profile, Some(self.function_length_threshold));
        debug_assert_eq!(profile.total(), self.duration);
        let mut memory = self.memory;
        if let Some(memory) = &mut memory {
            let unused = memory.bytes().saturating_sub(profile.bytes() as u64);
            memory.shrink(unused);
        }
        Trace::new(TraceParts {
            id: self.trace.id,
            event_name: header.capture.event_name().into(),
            identifier: self.trace.identifier().into(),
            captured_at: self.captured_at,
            profile,
            origin: self.origin,
            truncated: self.reason == EndReason::Truncated,
            thinned: false,
            reservation: memory.map(|memory| Box::new(memory) as _),
            on_given_up: self.claim.0.take().map(|claim| Box::new(move || claim.release()) as _),
        })
    }
}

#[cfg(test)]
mod tests;
