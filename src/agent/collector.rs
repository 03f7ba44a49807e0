//! Where telemetry enters.

use std::sync::Arc;

use crate::capture::admission::{self, Dice};
use crate::capture::core::CaptureCore;
use crate::capture::current;
use crate::capture::scope::Scope;
use crate::model::counters::Count;
use crate::model::event::Metadata;

/// Takes telemetry: what starts is given to it, and the [`Scope`] it returns is what runs and ends.
///
/// Cheap to clone. Once the agent has stopped it takes nothing.
#[derive(Debug, Clone)]
pub struct Collector(Option<Arc<CaptureCore>>);

impl Collector {
    pub(super) fn new(core: Option<Arc<CaptureCore>>) -> Self {
        Self(core)
    }

    /// A unit of work named in code: it asks no handler. Dice, circuit breaker, dedupe and `max_active_traces`
    /// apply; its threshold is its name's in the configuration, else 100 ms.
    ///
    /// `identifier` runs only when it is sampled; a panic in it is caught, and the unit is not traced. Inside a
    /// trace of the same agent the scope is a frame of that trace, and nothing is asked.
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// let collector = flame_on.collector();
    /// let batch = 42;
    /// let sum = collector.unit("shop.batch", || format!("batch {batch}")).in_scope(|| 1 + 1);
    /// ```
    #[inline]
    pub fn unit<I: Into<String>>(&self, name: &'static str, identifier: impl FnOnce() -> I) -> Scope {
        unit(self.0.as_ref(), name, identifier)
    }

    /// A telemetry event `a.b.start` (or `a.b`): the handlers decide whether and as what it is traced. Its end is
    /// the scope's.
    ///
    /// `metadata` runs only when it is sampled; a panic in it or in a handler is caught, and nothing is traced.
    /// Inside a trace of the same agent the scope is a frame of that trace, and nothing is asked.
    #[inline]
    pub fn event<'m>(&self, name: &'m str, metadata: impl FnOnce() -> Metadata<'m>) -> Scope {
        event(self.0.as_ref(), name, metadata)
    }

    /// An event without a scope, for code that cannot hold one. A name that ends in `.stop` ends the current
    /// task's trace if the event of that name began it; any other name does nothing and is counted in
    /// [`Stats::emit_ignored`](crate::Stats).
    pub fn emit(&self, name: &str) {
        let Some(core) = &self.0 else { return };
        let is_ended = name.strip_suffix(".stop").is_some_and(|event| current::stop_started_by(core.agent, event));
        if !is_ended {
            core.counters.count(Count::EmitIgnored);
        }
    }
}

#[inline]
pub(super) fn unit<I: Into<String>>(
    core: Option<&Arc<CaptureCore>>,
    name: &'static str,
    identifier: impl FnOnce() -> I,
) -> Scope {
    core.map_or_else(Scope::none, |core| admission::unit(core, name, identifier))
}

#[inline]
pub(super) fn event<'m>(
    core: Option<&Arc<CaptureCore>>,
    name: &'m str,
    metadata: impl FnOnce() -> Metadata<'m>,
) -> Scope {
    core.map_or_else(Scope::none, |core| admission::event(core, name, Dice::Rolled, metadata))
}
