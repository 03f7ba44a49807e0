//! Finishing a trace that has native frames: on the thread for symbols, with a deadline, where there is something to read.

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
use crate::model::native::{ModuleMap, StackKind};
use crate::model::time::Nanos;
use crate::symbols::assemble::{Naming, Stack, TimedStack, assemble};
use crate::symbols::chain::Chain;
use crate::symbols::known::KnownChains;
use crate::symbols::symbolizer::Symbolizer;
use crate::symbols::thread::SymbolThread;

/// How long a trace waits and has its symbols read, together: past that the line before the thread moves on with the names
/// that are known. `max_symbol_time_ms` is no longer.
const LINE_LIMIT: Duration = Duration::from_secs(60);
/// Nodes that one entry of the log adds to the tree, at a guess: a path of the user's own functions.
const NODES_AN_ENTRY: usize = 16;

/// Builds the trace with native frames: beside other traces where all of its stacks were named before, else on the symbol
/// thread.
pub(super) async fn build(parts: &Arc<Parts>, symbols: &SymbolThread, job: Box<FinalizeJob>) -> Option<Finished> {
    let is_raw = parts.limits().raw_stacks;
    let Some(chains) = job.known_chains(symbols.known()) else { return read(parts, symbols, job, is_raw).await };
    let work = move |mut job: Box<FinalizeJob>| {
        job.name_known(&chains, is_raw);
        job.build()
    };
    parts.finalizer.run(job, work).await
}

/// On the symbol thread; without native frames, and counted, when that has too much to do.
async fn read(parts: &Arc<Parts>, symbols: &SymbolThread, job: Box<FinalizeJob>, is_raw: bool) -> Option<Finished> {
    let waiting = Waiting::new(job);
    let (done, result) = oneshot::channel();
    let slot = waiting.slot();
    let latest = Instant::now() + LINE_LIMIT;
    let most = parts.limits().max_symbol_time;
    let work = Box::new(move |symbolizer: &mut Symbolizer| {
        let Some(mut job) = slot.take() else { return };
        let deadline = job.symbol_deadline(most).min(latest);
        job.name(symbolizer, is_raw, deadline);
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

fn modules() -> ModuleMap {
    unwind::modules().map(|modules| modules.map.clone()).unwrap_or_default()
}

impl FinalizeJob {
    /// The chains of all its stacks; `None` where there is something to read.
    pub(super) fn known_chains(&self, known: &KnownChains) -> Option<Vec<Arc<Chain>>> {
        let log = self.native.as_ref().filter(|log| log.sampled.is_empty())?;
        known.all(&modules(), &log.stacks)
    }

    pub(super) fn name_known(&mut self, chains: &[Arc<Chain>], is_raw: bool) {
        let known = |stack: Stack<'_>| match stack {
            Stack::Wait(stack) => usize::try_from(stack.0).ok().and_then(|number| chains.get(number)).cloned(),
            Stack::Sample(_) => None,
        };
        self.move_times(|_, stack| known(stack).unwrap_or_default(), is_raw);
    }

    fn name(&mut self, symbolizer: &mut Symbolizer, is_raw: bool, deadline: Instant) {
        let map = modules();
        let chain = |log: &NativeLog, stack: Stack<'_>| match stack {
            Stack::Wait(stack) => symbolizer.chain(&map, log.stacks.frames(stack), StackKind::Await, deadline),
            Stack::Sample(frames) => symbolizer.chain(&map, frames, StackKind::Cpu, deadline),
        };
        self.move_times(chain, is_raw);
    }

    /// Moves times from frames by hand to the functions inside them.
    fn move_times(&mut self, mut chain: impl FnMut(&NativeLog, Stack<'_>) -> Arc<Chain>, is_raw: bool) {
        let Some(log) = self.native.take() else { return };
        self.make_room(&log);
        let samples = self.samples(&log);
        let names = &mut self.names;
        let naming = Naming {
            chain: &mut |stack| chain(&log, stack),
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
