//! A single actor in a test: what it shares with others, and a parent that does nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::in_flight::InFlight;
use super::local_message;
use super::parts::{Parts, Slots};
use super::restart::RestartPolicy;
use crate::capture::admission;
use crate::capture::clock::Clock;
use crate::capture::core::{CaptureCore, CoreParts, Handlers, Shut};
use crate::capture::rules::Rules;
use crate::capture::scope::Scope;
use crate::model::config::Limits;
use crate::model::counters::{Count, Counters, Stats};
use crate::safety::budget::CaptureBudget;
use crate::safety::dedupe::DedupeTable;
use crate::safety::permits::ActivePermits;
use crate::shipping::adapter::BoxedAdapter;
use crate::shipping::contained::Contained;
use crate::shipping::memory::MemoryAdapter;
use crate::shipping::outbox::{Outbox, OutboxLimits};
use crate::shipping::trace::{Origin, Trace};

/// Far above what any machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Parts that no actor works on yet; everything is sampled and worth shipping.
pub(crate) fn parts(change: impl FnOnce(&mut Limits)) -> Arc<Parts> {
    let mut limits = Limits { sample_rate: 1.0, ..Limits::default() };
    change(&mut limits);
    let counters = Arc::<Counters>::default();
    let core = core(limits, counters.clone());
    core.open(Shut::NotRunning);
    let name: Arc<str> = "test".into();
    Arc::new(Parts {
        core,
        origin: Arc::new(Origin { service: name.clone(), environment: name.clone(), release: name }),
        restart_policy: RestartPolicy::DEFAULT,
        has_capture: true,
        error_outbox: Outbox::new(outbox_limits(), |_, _| {}),
        error_adapter: None,
        outbox: Outbox::new(outbox_limits(), move |_: Trace, _| counters.count(Count::Evicted)),
        adapter: Contained::new(Handle::current(), BoxedAdapter::new(MemoryAdapter::default())),
        in_flight: InFlight::new(Arc::default()),
        finalizations: Arc::new(Semaphore::new(2)),
        slots: Slots::default(),
        threads: Arc::default(),
    })
}

fn core(limits: Limits, counters: Arc<Counters>) -> Arc<CaptureCore> {
    CaptureCore::new(CoreParts {
        clock: Clock::new(),
        counters,
        budget: CaptureBudget::new(limits.max_capture_bytes as u64),
        permits: ActivePermits::new(limits.max_active_traces),
        dedupe: DedupeTable::new(Duration::ZERO, limits.max_dedupe_identifiers),
        handlers: Handlers::default(),
        rules: Rules { limits: Arc::new(limits), threshold_for_tests: Some(Duration::ZERO) },
    })
}

fn outbox_limits() -> OutboxLimits {
    let many = NonZeroUsize::new(1_000).unwrap();
    OutboxLimits { items: many, bytes: 1 << 20, batch: many }
}

/// A unit of work.
pub(crate) fn unit(parts: &Parts) -> Scope {
    admission::unit(&parts.core, "test.unit", || "one")
}

/// The counters now.
pub(crate) fn stats(parts: &Parts) -> Stats {
    parts.core.counters.read()
}

/// Waits until `is_true`.
#[track_caller]
pub(crate) fn eventually(what: &'static str, mut is_true: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let start = Instant::now();
    async move {
        while !is_true() {
            assert!(start.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Its children may end as they like.
struct Parent;

pub(crate) enum Nothing {}
local_message!(Nothing);

#[ractor::actor(message = Nothing, state = (), arguments = ())]
impl Parent {
    async fn pre_start(&self, _myself: ActorRef<Nothing>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Nothing>,
        _event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// A parent for the actor under test.
pub(crate) async fn parent() -> ActorCell {
    ractor::Actor::spawn(None, Parent, ()).await.unwrap().0.get_cell()
}
