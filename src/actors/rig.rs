//! A single actor in a test: what it shares with others, and a parent that does nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::Semaphore;

use super::finalizer::Finalizer;
use super::local_message;
use super::parts::{Parts, Slots};
use super::restart::RestartPolicy;
use super::ship_queue::{QueueSettings, ShipQueue};
use crate::capture::admission;
use crate::capture::clock::Clock;
use crate::capture::core::{CaptureCore, CoreParts, Handlers, Shut};
use crate::capture::rules::Rules;
use crate::capture::scope::Scope;
use crate::model::config::Limits;
use crate::model::counters::{Counters, Stats};
use crate::safety::budget::CaptureBudget;
use crate::safety::dedupe::DedupeTable;
use crate::safety::permits::ActivePermits;
use crate::shipping::adapter::BoxedAdapter;
use crate::shipping::memory::MemoryAdapter;
use crate::shipping::outbox::OutboxLimits;
use crate::shipping::trace::Origin;

/// Far above what any machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Parts that no actor works on yet; everything is sampled and worth shipping.
pub(crate) fn parts(change: impl FnOnce(&mut Limits)) -> Arc<Parts> {
    let mut limits = Limits { sample_rate: 1.0, ..Limits::default() };
    change(&mut limits);
    let counters = Arc::<Counters>::default();
    let core = core(limits, counters);
    core.open(Shut::NotRunning);
    let name: Arc<str> = "test".into();
    let origin = Arc::new(Origin { service: name.clone(), environment: name.clone(), release: name });
    Arc::new(Parts {
        core,
        traces: Arc::new(ShipQueue::new(origin.clone(), BoxedAdapter::new(MemoryAdapter::default()), queue_settings())),
        origin,
        restart_policy: RestartPolicy::DEFAULT,
        has_capture: true,
        errors: None,
        finalizer: Finalizer::new(Arc::new(Semaphore::new(2))),
        #[cfg(native_capture)]
        symbols: None,
        slots: Slots::default(),
        threads: Arc::default(),
    })
}

fn core(limits: Limits, counters: Arc<Counters>) -> Arc<CaptureCore> {
    CaptureCore::new(CoreParts {
        #[cfg(native_capture)]
        native: None,
        clock: Clock::new(),
        counters,
        budget: CaptureBudget::new(limits.max_capture_bytes as u64),
        permits: ActivePermits::new(limits.max_active_traces),
        dedupe: DedupeTable::new(Duration::ZERO, limits.max_dedupe_identifiers),
        handlers: Handlers::default(),
        rules: Rules { limits: Arc::new(limits), threshold_for_tests: Some(Duration::ZERO) },
    })
}

pub(crate) fn queue_settings() -> QueueSettings {
    let many = NonZeroUsize::new(1_000).unwrap();
    QueueSettings {
        limits: OutboxLimits { items: many, bytes: 1 << 20, batch: many },
        flush_interval: Duration::from_secs(5),
        send_timeout: Duration::from_secs(10),
    }
}

/// A unit of work.
pub(crate) fn unit(parts: &Parts) -> Scope {
    admission::unit(&parts.core, "test.unit", || "one")
}

/// The counters now.
pub(crate) fn stats(parts: &Parts) -> Stats {
    parts.core.counters.read().with_trace_queue(parts.traces.stats())
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
