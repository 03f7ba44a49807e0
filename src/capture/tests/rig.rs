//! A core without actors, and the session's side of a trace by hand.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::capture::admission;
use crate::capture::chunk::CHUNK_BYTES;
use crate::capture::clock::Clock;
use crate::capture::core::{CaptureCore, CoreParts, Handlers, InboxItem, Shut};
use crate::capture::frame::NAMES;
use crate::capture::reader::LaneReader;
use crate::capture::rules::Rules;
use crate::capture::scope::Scope;
use crate::capture::trace::SharedTrace;
use crate::model::config::Limits;
use crate::model::counters::Count;
use crate::model::fold::{Finished, Fold, FoldLimits};
use crate::model::time::Nanos;
use crate::model::trace_event::{EndReason, TraceEvent};
use crate::safety::budget::CaptureBudget;
use crate::safety::dedupe::DedupeTable;
use crate::safety::permits::ActivePermits;

/// What each path owns, in nanoseconds; `""` is the root, and paths that own nothing are left out.
pub(crate) type Own = BTreeMap<String, u64>;

/// An [`Own`] from its pairs.
pub(crate) fn own<const N: usize>(pairs: [(&str, u64); N]) -> Own {
    pairs.into_iter().map(|(path, time)| (path.to_owned(), time)).collect()
}

pub(crate) struct Rig {
    pub(crate) core: Arc<CaptureCore>,
    mock: Arc<quanta::Mock>,
}

/// Limits that no test meets unless it lowers them.
pub(crate) fn limits() -> Limits {
    Limits { sample_rate: 1.0, ..Limits::default() }
}

/// Room for this many chunks.
pub(crate) fn chunks(count: u64) -> usize {
    (count * CHUNK_BYTES) as usize
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(limits())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::of(limits, Duration::ZERO)
    }

    /// What ends below `threshold` is discarded.
    pub(crate) fn above(threshold: Duration) -> Self {
        Self::of(limits(), threshold)
    }

    fn of(limits: Limits, threshold: Duration) -> Self {
        let (clock, mock) = Clock::mock();
        let core = CaptureCore::new(CoreParts {
            #[cfg(native_capture)]
            native: None,
            clock,
            counters: Arc::default(),
            budget: CaptureBudget::new(limits.max_capture_bytes as u64),
            permits: ActivePermits::new(limits.max_active_traces),
            dedupe: DedupeTable::new(Duration::ZERO, 1),
            handlers: Handlers::default(),
            rules: Rules { limits: Arc::new(limits), threshold_for_tests: Some(threshold) },
        });
        core.open(Shut::NotRunning);
        Self { core, mock }
    }

    pub(crate) fn pass(&self, nanos: u64) {
        self.mock.increment(nanos);
    }

    pub(crate) fn count(&self, what: Count) -> u64 {
        self.core.counters.get(what)
    }

    /// A trace whose session has taken it up.
    pub(crate) fn admit(&self) -> (Scope, Session) {
        let scope = admission::unit(&self.core, "unit", || "test");
        assert!(scope.is_sampled());
        (scope, self.take_up().unwrap())
    }

    /// Takes up the next trace that its host thread has not settled.
    pub(crate) fn take_up(&self) -> Option<Session> {
        let told = self.core.inbox.drain().map(InboxItem::into_trace);
        let traces = told.chain(self.core.fresh.take_all());
        traces.filter(|trace| trace.take_up()).map(Session::new).last()
    }

    /// Polls `work` in a new trace until it is ready; `wait` passes the time between two polls.
    pub(crate) fn trace(&self, work: impl Future<Output = ()>, mut wait: impl FnMut(&mut Session)) -> Own {
        let (scope, mut session) = self.admit();
        let mut traced = pin!(scope.run(work));
        while poll(traced.as_mut()).is_pending() {
            wait(&mut session);
        }
        session.finish()
    }
}

/// One poll with a waker that does nothing.
pub(crate) fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Pending once.
pub(crate) async fn once() {
    let mut is_ready = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut is_ready, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

/// What a session does, without the actor.
pub(crate) struct Session {
    pub(crate) trace: Arc<SharedTrace>,
    reader: LaneReader,
    fold: Fold,
}

impl Session {
    fn new(trace: Arc<SharedTrace>) -> Self {
        let limits = trace.core.rules().limits.clone();
        let fold = Fold::new(FoldLimits { max_stacks: limits.max_stacks, max_depth: limits.max_stack_depth });
        Self { trace, reader: LaneReader::default(), fold }
    }

    /// Reads all there is.
    pub(crate) fn read(&mut self) -> usize {
        let Self { trace, reader, fold } = self;
        let end = trace.ended().map_or(u64::MAX, |(raw, _)| raw);
        reader.read(trace, usize::MAX, |word, raw| {
            let event = TraceEvent::from_word(word).unwrap();
            if raw <= end {
                fold.apply(event, trace.core.clock.between(trace.started_raw, raw));
            }
        })
    }

    pub(crate) fn reason(&self) -> Option<EndReason> {
        Some(self.trace.ended()?.1)
    }

    fn fold_all(mut self) -> Finished {
        self.read();
        let (end, _) = self.trace.ended().unwrap();
        self.trace.close();
        self.fold.finish(self.trace.core.clock.between(self.trace.started_raw, end))
    }

    /// Own times of the ended trace, which are checked to sum to its duration.
    pub(crate) fn finish(self) -> Own {
        let finished = self.fold_all();
        let duration = finished.duration;
        let profile = finished.tree.into_profile("root", |frame| NAMES.frame(frame));
        assert_eq!(profile.total(), duration, "own times sum to the duration");
        let mut paths: Vec<String> = Vec::new();
        let mut own = Own::new();
        for node in &profile.nodes {
            let name = &profile.frames[node.frame as usize].name;
            let path = match paths.get(node.parent as usize) {
                None => String::new(),
                Some(parent) if parent.is_empty() => name.to_string(),
                Some(parent) => format!("{parent};{name}"),
            };
            if node.own > Nanos::ZERO {
                own.insert(path.clone(), node.own.0);
            }
            paths.push(path);
        }
        own
    }
}
