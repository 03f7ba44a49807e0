//! What a user holds: the guard that owns a running agent, and handles to it.

mod adapter;
mod collector;
mod error_parts;
mod errors;
mod guard;
mod native;
mod registry;
mod start;

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

pub use collector::Collector;
pub use guard::FlameOnGuard;
use start::Made;
pub use start::StartError;

use crate::capture::core::{CaptureCore, Shut};
use crate::capture::native::fork;
use crate::config::{Config, Reloaded};
use crate::model::config::{ConfigError, Settings, UnitSettings};
use crate::model::counters::Stats;
use crate::runtime::{Command, Done, Lines};

/// What a blocking call waits beyond its limit for a thread that no longer answers.
const GRACE: Duration = Duration::from_secs(2);

/// A handle to an agent. Clones are cheap and say nothing about the agent's life; once it has stopped (and for
/// [`FlameOn::disabled`]) every method is a no-op.
#[derive(Clone)]
pub struct FlameOn(Option<Arc<Inner>>);

struct Inner {
    made: Made,
    config: RwLock<Arc<Config>>,
    lines: Lines,
}

/// What a flush or a shutdown came to. The numbers are of the time that it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Traces that a shipper accepted.
    pub shipped: u64,
    /// Traces that were lost, for whatever reason; [`FlameOn::stats`] names the reasons.
    pub lost: u64,
    /// Error events that a shipper accepted.
    pub errors_shipped: u64,
    /// Error events that were lost, for whatever reason; [`Stats::error_queue`] names the reasons.
    pub errors_lost: u64,
    /// Whether everything was done before the limit.
    pub within_deadline: bool,
}

impl FlameOn {
    /// A handle of which every method is a no-op: for libraries, and for hosts that run without FlameOn.
    pub fn disabled() -> Self {
        Self(None)
    }

    /// The agent of the trace that runs here, else the one entered by [`FlameOn::in_context`], else the first one
    /// started (unless it was configured not to be the process default), else a disabled one.
    pub fn current() -> Self {
        registry::current()
    }

    /// Makes this the agent of the free functions on this thread while `f` runs. For synchronous tests and tools.
    pub fn in_context<R>(&self, f: impl FnOnce() -> R) -> R {
        registry::enter(self, f)
    }

    /// What telemetry goes to. Cheap to clone; keep it where work begins.
    pub fn collector(&self) -> Collector {
        Collector::new(self.0.as_ref().map(|inner| inner.made.core.clone()))
    }

    /// A unit of work named in code; see [`Collector::unit`].
    #[inline]
    pub fn unit<I: Into<String>>(&self, name: &'static str, identifier: impl FnOnce() -> I) -> crate::Scope {
        collector::unit(self.core(), name, identifier)
    }

    /// A telemetry event; see [`Collector::event`].
    #[inline]
    pub fn event<'m>(&self, name: &'m str, metadata: impl FnOnce() -> crate::Metadata<'m>) -> crate::Scope {
        collector::event(self.core(), name, metadata)
    }

    /// The configuration in force, after [`FlameOn::reload`] the new one.
    pub fn config(&self) -> Arc<Config> {
        static DISABLED: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(Config::disabled()));
        match &self.0 {
            Some(inner) => inner.config.read().unwrap_or_else(PoisonError::into_inner).clone(),
            None => DISABLED.clone(),
        }
    }

    /// Traces that run or are being finished now; at most `max_active_traces`.
    pub fn active_traces(&self) -> usize {
        self.core().map_or(0, |core| core.permits.active())
    }

    /// What the agent has done, and what it has dropped, by reason.
    pub fn stats(&self) -> Stats {
        let Some(inner) = &self.0 else { return Stats::default() };
        let Made { core, traces, errors, .. } = &inner.made;
        Stats {
            sampled_out: core.dice.sum(),
            active_traces: core.permits.active() as u64,
            capture_bytes: core.budget.used(),
            breaker_open: core.is_shut(Shut::Breaker),
            running: core.is_on(),
            native: inner.made.native.stats(),
            error_queue: errors.as_ref().map(|errors| errors.queue.stats()).unwrap_or_default(),
            ..core.counters.read().with_trace_queue(traces.stats())
        }
    }

    /// Stops new traces; those that run go on. Until [`FlameOn::resume`].
    pub fn pause(&self) {
        if let Some(core) = self.core() {
            core.shut(Shut::Paused);
        }
    }

    /// Takes a [`FlameOn::pause`] back.
    pub fn resume(&self) {
        if let Some(core) = self.core() {
            core.open(Shut::Paused);
        }
    }

    /// The share of units of work that are traced, 0 to 1, unless their event has a rate of its own.
    pub fn sample_rate(&self) -> f64 {
        self.core().map_or(0.0, |core| core.rules().limits.sample_rate)
    }

    /// Changes the sampling rate of everything that has no rate of its own.
    ///
    /// # Errors
    /// When `share` is not within 0 to 1; nothing has changed then.
    pub fn set_sample_rate(&self, share: f64) -> Result<(), ConfigError> {
        self.reload(&Settings { sample_rate: Some(share), ..Settings::default() }).map(drop)
    }

    /// Changes the sampling rate of one event.
    ///
    /// # Errors
    /// When `share` is not within 0 to 1; nothing has changed then.
    pub fn set_event_sample_rate(&self, event: &str, share: f64) -> Result<(), ConfigError> {
        let events = [(event.to_owned(), UnitSettings::new().sample_rate(share))].into();
        self.reload(&Settings { events, ..Settings::default() }).map(drop)
    }

    /// Applies what can change while the agent runs: rates, thresholds, events, dedupe and limits. What is not
    /// written in `settings` stays as it is. The report names the keys whose new value needs a restart.
    ///
    /// # Errors
    /// When any value is wrong; nothing has changed then.
    pub fn reload(&self, settings: &Settings) -> Result<Reloaded, ConfigError> {
        let Some(inner) = &self.0 else { return self.config().plan_reload(settings).map(|(_, reloaded)| reloaded) };
        // Held over plan and change, so that two reloads do not undo each other.
        let mut config = inner.config.write().unwrap_or_else(PoisonError::into_inner);
        let (new, reloaded) = config.plan_reload(settings)?;
        inner.made.apply(&config, &new);
        *config = Arc::new(new);
        // False when 64 commands wait: then each timer fires once more by its old interval.
        inner.lines.send(Command::Reloaded);
        Ok(reloaded)
    }

    /// Ships what is finished by now, within `limit`. Does not stop the agent.
    pub async fn flush(&self, limit: Duration) -> ShutdownReport {
        self.ask(limit, |lines, done| lines.send(Command::Flush(limit, done))).await
    }

    /// As [`FlameOn::flush`], for code without a runtime: blocks this thread for at most about `limit`.
    pub fn flush_blocking(&self, limit: Duration) -> ShutdownReport {
        self.ask_blocking(limit, |lines, done| lines.send(Command::Flush(limit, done)))
    }

    /// Makes one of the agent's actors fail, for our own tests; blocks until it has been told to. `actor` is
    /// `supervisor`, `memory_watcher`, `router`, `shipper`, `error_shipper`, `sessions`, `collector` or `a_session`, which are killed,
    /// or `a_session_panics`, where a session's handler panics. False when no such actor is alive now.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn __kill(&self, actor: &str) -> bool {
        let fail = |lines: &Lines, done| lines.send(Command::Fail(actor.to_owned(), done));
        self.reachable().is_some_and(|inner| Asked::ask(&inner.lines, fail).wait(GRACE))
    }

    fn ask_blocking(&self, limit: Duration, ask: impl FnOnce(&Lines, Done) -> bool) -> ShutdownReport {
        let Some(inner) = self.reachable() else { return ShutdownReport::nothing_to_do() };
        let before = self.stats();
        let is_clean = Asked::ask(&inner.lines, ask).wait(limit);
        self.report_since(&before, is_clean)
    }

    /// The wait is a thread's: the caller's runtime may have no timer, and the agent's thread may never answer.
    async fn ask(&self, limit: Duration, ask: impl FnOnce(&Lines, Done) -> bool) -> ShutdownReport {
        let Some(inner) = self.reachable() else { return ShutdownReport::nothing_to_do() };
        let before = self.stats();
        let asked = Asked::ask(&inner.lines, ask);
        let (done, is_done) = oneshot::channel();
        // `Err` of the send: whoever waited has given up.
        let wait = move || done.send(asked.wait(limit)).unwrap_or_default();
        let waiting = std::thread::Builder::new().name("flame-on-wait".into()).spawn(wait);
        // `Err`: no thread could be had.
        let is_clean = waiting.is_ok() && is_done.await.unwrap_or(false);
        self.report_since(&before, is_clean)
    }

    fn report_since(&self, before: &Stats, within_deadline: bool) -> ShutdownReport {
        let after = self.stats();
        let (shipped, lost) = (after.shipped - before.shipped, after.lost() - before.lost());
        let (errors, errors_before) = (&after.error_queue, &before.error_queue);
        ShutdownReport {
            shipped,
            lost,
            errors_shipped: errors.sent - errors_before.sent,
            errors_lost: errors.lost() - errors_before.lost(),
            within_deadline,
        }
    }

    #[inline]
    pub(crate) fn core(&self) -> Option<&Arc<CaptureCore>> {
        self.0.as_ref().map(|inner| &inner.made.core)
    }

    /// Whether there is a thread that can answer: in the child of a fork there is not.
    fn reachable(&self) -> Option<&Arc<Inner>> {
        self.0.as_ref().filter(|inner| !fork::is_forked_child() && !inner.lines.is_closed())
    }
}

/// A question to the agent's thread; `None` when it takes none.
struct Asked(Option<Receiver<bool>>);

impl Asked {
    fn ask(lines: &Lines, ask: impl FnOnce(&Lines, Done) -> bool) -> Self {
        let (done, is_done) = sync_channel(1);
        // `Err` of the send: whoever waited has given up.
        let is_asked = ask(lines, Box::new(move |is_clean| done.try_send(is_clean).unwrap_or_default()));
        Self(is_asked.then_some(is_done))
    }

    /// Blocks this thread until the agent answers, ends, or `limit` and a little more is over.
    fn wait(self, limit: Duration) -> bool {
        self.0.is_some_and(|is_done| is_done.recv_timeout(limit.saturating_add(GRACE)).unwrap_or(false))
    }
}

impl ShutdownReport {
    fn nothing_to_do() -> Self {
        Self { within_deadline: true, ..Self::default() }
    }
}

impl std::fmt::Debug for FlameOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlameOn").field("active_traces", &self.active_traces()).finish_non_exhaustive()
    }
}
