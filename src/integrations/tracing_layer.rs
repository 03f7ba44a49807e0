//! Spans of `tracing` as frames of the trace that runs on their thread.
//!
//! - **Late-bound.** The layer belongs to no agent: a subscriber is installed before one starts, and whichever trace
//!   runs gets the frames.
//! - **Nothing is stored with a span**, and none is looked at where no trace runs: an enter, an exit and a close cost
//!   one thread-local read each.
//! - **Other layers see no difference.** All that could switch a span off (`register_callsite`, `enabled`,
//!   `max_level_hint`) is left as it is; the cutoff is asked here alone, once for each callsite.
//! - The agent's own threads run no traced work, so its spans are none of this.

mod callsites;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use tracing::level_filters::LevelFilter;
use tracing::span::Id;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use self::callsites::Callsites;
use super::tracing_records;
use crate::capture::current::{is_traced, with_current};
use crate::capture::frame::NAMES;
use crate::errors::logger;
use crate::model::frame::FrameId;

/// A layer that makes frames of spans; for the subscriber of the process, whether an agent has started or not.
///
/// Spans of level `INFO` and above count, from every target; [`TracingLayer::with_max_level`] and
/// [`TracingLayer::with_targets`] change that.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(flame_on::tracing_layer());
/// # tracing::subscriber::with_default(subscriber, || {
/// # let agent = flame_on::testing::TestAgent::start()?;
/// #[tracing::instrument]
/// fn load() {}
///
/// agent.unit("shop.batch", || "nightly").in_scope(load); // shows `shop::load`
/// # assert_eq!(agent.traces_blocking().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "a layer does nothing until it is a part of a subscriber"]
pub fn tracing_layer() -> TracingLayer {
    TracingLayer {
        targets: Targets::new().with_default(LevelFilter::INFO),
        callsites: Callsites::default(),
        breadcrumbs: LevelFilter::OFF,
    }
}

/// What [`tracing_layer`] returns.
///
/// A span is a frame while it is entered on a thread where a trace runs. It is called like the function that
/// `#[instrument]` stands on, `crate::module::function`; another span is `crate::module::name`, and one whose name
/// holds a `::` keeps it. Values of fields are never a part of it. The file and line of the span go into the profile.
///
/// A span that was exited in a poll and has not been closed when that poll ends pending is where the task waits. So an
/// instrumented future shows its waiting, and one that is done or dropped does not, unless something else keeps its
/// span open (a clone of it, a child span in another task): then the first wait after it may be shown in it.
///
/// Entering twice, exiting in another order, on another thread, late or never: no span can do harm. A frame ends with
/// its poll at the latest, what was entered before the trace is not in it, and an exit that matches nothing is nothing.
///
/// # Beside other layers
///
/// It switches nothing off and on. Only where *every* other layer has a filter of its own (`with_filter`), a layer
/// without one, as this is, makes `tracing` create the spans and events that all of them refuse. There, give it one
/// too: `flame_on::tracing_layer().with_filter(LevelFilter::INFO)`.
///
/// # Cost
///
/// Where no trace runs: a thread-local read for each enter, exit and close. In a trace, a span costs a frame and a
/// look-up in the registry. `docs/benchmarks.md` of the repository has the figures.
#[derive(Debug)]
pub struct TracingLayer {
    targets: Targets,
    callsites: Callsites,
    breadcrumbs: LevelFilter,
}

impl TracingLayer {
    /// The lowest level that counts, for targets that [`TracingLayer::with_targets`] does not name. Default: `INFO`.
    /// `OFF` leaves all spans out.
    pub fn with_max_level(self, level: impl Into<LevelFilter>) -> Self {
        Self { targets: self.targets.with_default(level), callsites: Callsites::default(), ..self }
    }

    /// Which spans count, by target and level, in place of what was said before. A target that it does not name, and
    /// for which it has no default level, is left out.
    ///
    /// ```
    /// let targets = "shop=debug,sqlx=off,info".parse()?;
    /// let layer = flame_on::tracing_layer().with_targets(targets);
    /// # Ok::<(), tracing_subscriber::filter::ParseError>(())
    /// ```
    pub fn with_targets(self, targets: Targets) -> Self {
        Self { targets, callsites: Callsites::default(), ..self }
    }

    /// Keeps records of this level and above, below `ERROR`, as breadcrumbs of the task that they are from. `OFF` unless
    /// said. Records of level `ERROR` are error events wherever the agent has `logger_fallback` on.
    pub fn with_breadcrumbs(self, level: impl Into<LevelFilter>) -> Self {
        Self { breadcrumbs: level.into(), ..self }
    }

    #[inline(never)]
    fn enter<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let frame = context.metadata(id).and_then(|metadata| self.frame(metadata));
        if let Some(frame) = frame {
            with_current(|recorder| recorder.enter_span(id.into_u64(), frame));
        }
    }

    /// The frame of a callsite, if it counts.
    fn frame(&self, metadata: &'static Metadata<'static>) -> Option<FrameId> {
        self.callsites.decide_once(metadata, || {
            let counts = self.targets.would_enable(metadata.target(), metadata.level());
            counts.then(|| intern(metadata))
        })
    }
}

fn intern(metadata: &Metadata<'_>) -> FrameId {
    let name = metadata.name();
    if name.contains("::") {
        return intern_at(name, metadata);
    }
    let module = metadata.module_path().unwrap_or_else(|| metadata.target());
    intern_at(&format!("{module}::{name}"), metadata)
}

fn intern_at(name: &str, metadata: &Metadata<'_>) -> FrameId {
    NAMES.intern_at(name, metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default())
}

#[inline(never)]
fn exit(id: &Id) {
    with_current(|recorder| recorder.exit_span(id.into_u64()));
}

#[inline(never)]
fn close(id: &Id) {
    with_current(|recorder| recorder.close_span(id.into_u64()));
}

impl<S> Layer<S> for TracingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_layer(&mut self, _: &mut S) {
        logger::note_bridge();
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        tracing_records::on_event(event, self.breadcrumbs.into_level());
    }

    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if is_traced() {
            self.enter(id, &context);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if is_traced() {
            exit(id);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        if is_traced() {
            close(&id);
        }
    }
}
