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
use crate::symbols::thread::SymbolThread;

/// What one trace's symbols may take; past it, names are as good as can be had without reading more.
const SYMBOL_LIMIT: Duration = Duration::from_secs(2);
/// The same in a host's tests: they look for names, in programs that are not optimised, on machines that are busy.
const SYMBOL_LIMIT_IN_TESTS: Duration = Duration::from_secs(60);
/// Nodes that one entry of the log adds to the tree, at a guess: a path of the user's own functions.
const NODES_AN_ENTRY: usize = 16;

/// Builds the trace with native frames; without them, and counted, when the symbol thread has too much to do.
pub(super) async fn build(parts: &Arc<Parts>, symbols: &SymbolThread, job: Box<FinalizeJob>) -> Option<Finished> {
    let is_raw = parts.limits().raw_stacks;
    let waiting = Waiting::new(job);
    let (done, result) = oneshot::channel();
    let slot = waiting.slot();
    let work = Box::new(move |symbolizer: &mut Symbolizer| {
        let Some(mut job) = slot.take() else { return };
        job.name(symbolizer, is_raw);
        // `Err`: nobody waits any more, and the result is dropped.
        done.send(job.build()).ok();
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
    fn name(&mut self, symbolizer: &mut Symbolizer, is_raw: bool) {
        let Some(log) = self.native.take() else { return };
        self.make_room(&log);
        let samples = self.samples(&log);
        let map = unwind::modules().map(|modules| modules.map.clone()).unwrap_or_default();
        let deadline = Instant::now() + self.symbol_limit();
        let names = &mut self.names;
        let naming = Naming {
            symbols: &mut |address| symbolizer.frames(&map, address, deadline),
            frame: &mut |named| names.frame(named),
            by_hand: &|frame| NAMES.frame(frame),
            is_raw,
        };
        assemble(&mut self.tree, &log, samples, naming);
    }

    /// Nothing more is read once the agent has been told to stop.
    fn symbol_limit(&self) -> Duration {
        let core = &self.trace.core;
        match core.rules().threshold_for_tests {
            _ if core.is_shut(Shut::NotRunning) => Duration::ZERO,
            Some(_) => SYMBOL_LIMIT_IN_TESTS,
            None => SYMBOL_LIMIT,
        }
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
