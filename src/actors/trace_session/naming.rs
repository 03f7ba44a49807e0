//! The part of finishing a trace that needs symbols: on their own thread, with their own deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::finalize::{FinalizeJob, Finished};
use crate::actors::finalizer::Waiting;
use crate::actors::parts::Parts;
use crate::capture::core::Shut;
use crate::capture::frame::NAMES;
use crate::capture::native::unwind;
use crate::model::counters::Count;
use crate::model::fold::native::NativeLog;
use crate::model::time::Nanos;
use crate::symbols::assemble::{Naming, TimedStack, assemble};
use crate::symbols::symbolizer::Symbolizer;
use crate::symbols::thread::{Answer, SymbolThread};

/// How long a trace waits and has its symbols read, together: past that the line before the thread moves on with the names
/// that are known. `max_symbol_time_ms` is no longer.
const LINE_LIMIT: Duration = Duration::from_secs(60);
/// Nodes that one entry of the log adds to the tree, at a guess: a path of the user's own functions.
const NODES_AN_ENTRY: usize = 16;

/// Builds the trace with native frames; without them, and counted, when the symbol thread has too much to do.
pub(super) async fn build(parts: &Arc<Parts>, symbols: &SymbolThread, job: Box<FinalizeJob>) -> Option<Finished> {
    let is_raw = parts.limits().raw_stacks;
    let waiting = Waiting::new(job);
    let (done, result) = oneshot::channel();
    let slot = waiting.slot();
    let latest = Instant::now() + LINE_LIMIT;
    let most = parts.limits().max_symbol_time;
    let work = Box::new(move |symbolizer: &mut Symbolizer| -> Answer {
        let Some(mut job) = slot.take() else { return Box::new(|| ()) };
        let deadline = job.symbol_deadline(most).min(latest);
        job.name(symbolizer, is_raw, deadline);
        let finished = job.build();
        // `Err`: nobody waits any more, and the result is dropped.
        Box::new(|| drop(done.send(finished)))
    });
    if symbols.run(work).is_err() {
        parts.core.counters.count(Count::WithoutSymbols);
        let job = waiting.take()?;
        return parts.finalizer.run(job, |job| job.build()).await;
    }
    result.await.ok()
}

impl FinalizeJob {
    /// Moves times from frames by hand to the functions inside them.
    fn name(&mut self, symbolizer: &mut Symbolizer, is_raw: bool, deadline: Instant) {
        let Some(log) = self.native.take() else { return };
        self.make_room(&log);
        let samples = self.samples(&log);
        let map = unwind::modules().map(|modules| modules.map.clone()).unwrap_or_default();
        let names = &mut self.names;
        let naming = Naming {
            chain: &mut |stack, kind| symbolizer.chain(&map, stack, kind, deadline),
            frame: &mut |named| names.frame(named),
            by_hand: &|frame| NAMES.frame(frame),
            is_raw,
        };
        assemble(&mut self.tree, &log, samples, naming);
    }

    /// Nothing more is read once the agent has been told to stop.
    fn symbol_deadline(&self, most: Duration) -> Instant {
        let is_stopping = self.trace.core.is_shut(Shut::NotRunning);
        Instant::now() + if is_stopping { Duration::ZERO } else { most }
    }

    /// Without room for more, the tree stays as it is.
    fn make_room(&mut self, log: &NativeLog) {
        let more = self.tree.bytes_with(log.entries().saturating_mul(NODES_AN_ENTRY)) as u64;
        let has_room = self.memory.as_mut().is_some_and(|memory| {
            let more = more.saturating_sub(memory.bytes());
            more == 0 || memory.grow(more)
        });
        if !has_room {
            self.tree.freeze();
        }
    }

    fn samples(&self, log: &NativeLog) -> Vec<TimedStack> {
        let core = &self.trace.core;
        let Some(native) = core.native.as_ref().filter(|_| !log.sampled.is_empty()) else { return Vec::new() };
        let timed = |(raw, frames)| {
            let at: Nanos = core.clock.between(self.trace.started_raw, raw);
            TimedStack { at, frames }
        };
        native.take_samples(self.trace.label).into_iter().map(timed).collect()
    }
}
