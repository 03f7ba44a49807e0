//! From a checked configuration to a running tree.

use std::num::NonZeroUsize;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::adapter::Adapters;
use super::error_parts::{self, ErrorParts};
use super::native::{self, Native};
use super::{FlameOn, FlameOnGuard, Inner, registry};
use crate::actors::finalizer::Finalizer;
use crate::actors::parts::{Parts, Slots};
use crate::actors::restart::RestartPolicy;
use crate::actors::ship_queue::{QueueSettings, ShipQueue};
use crate::capture::clock::Clock;
use crate::capture::core::{CaptureCore, CoreParts, Handlers};
use crate::capture::native::fork;
use crate::capture::rules::Rules;
use crate::config::Config;
use crate::model::config::ConfigError;
use crate::runtime::{self, Lines};
use crate::safety::budget::CaptureBudget;
use crate::safety::cpu::threads::AgentThreads;
use crate::safety::dedupe::DedupeTable;
use crate::safety::permits::ActivePermits;
use crate::shipping::batch::Batch;
use crate::shipping::outbox::OutboxLimits;
use crate::shipping::trace::{Origin, TraceBatch};

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong; lists all problems.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused a thread or what the agent's runtime needs.
    #[error("the agent's thread could not be started")]
    Thread(#[source] std::io::Error),
    /// The adapter that the configuration asks for cannot be built.
    #[error("the shipper could not be set up: {0}")]
    Shipper(String),
    /// An actor did not come up.
    #[error("the supervision tree could not be started")]
    Tree(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The machine is too busy, or the process is not allowed to run threads.
    #[error("the supervision tree did not come up within {0:?}")]
    Timeout(Duration),
}

impl FlameOn {
    /// Starts an agent and returns when its supervision tree is up. Works with or without a tokio runtime around it.
    ///
    /// With `capture` and `capture_errors` off it starts an empty supervisor, and says once in the log that it is off.
    ///
    /// # Errors
    /// When the adapter or a thread cannot be had. The host can go on with [`FlameOnGuard::disabled`].
    pub fn start(config: Config) -> Result<FlameOnGuard, StartError> {
        if let Err(error) = fork::watch_forks() {
            tracing::warn!(target: "flame_on", %error, "a child of this process that is forked will not be switched off");
        }
        for warning in config.warnings() {
            tracing::warn!(target: "flame_on", "{warning}");
        }
        if !config.capture() && !config.capture_errors() {
            tracing::info!(target: "flame_on", "FlameOn is off: neither `capture` nor `capture_errors` is set");
        }
        let adapters = Adapters::choose(&config)?;
        let made = Made::new(&config, adapters);
        let lines = made.clone().run(&config)?;
        native::diagnose(&config, &made.native);
        let is_default = config.is_process_default();
        let inner = Arc::new(Inner { config: RwLock::new(Arc::new(config)), lines, made });
        registry::register(&inner, is_default);
        error_parts::begin(&inner);
        Ok(FlameOnGuard::new(FlameOn(Some(inner))))
    }
}

/// What the handle and the actors share.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) core: Arc<CaptureCore>,
    pub(super) traces: Arc<ShipQueue<TraceBatch>>,
    /// `None` when errors are not captured.
    pub(super) errors: Option<ErrorParts>,
    origin: Arc<Origin>,
    finalizations: Arc<Semaphore>,
    threads: Arc<AgentThreads>,
    pub(super) native: Native,
}

impl Made {
    fn new(config: &Config, adapters: Adapters) -> Self {
        let threads = Arc::default();
        let clock = Clock::new();
        let budget = CaptureBudget::new(config.max_capture_bytes() as u64);
        #[cfg(native_capture)]
        let native = Native::new(config, &clock, &budget, &threads);
        #[cfg(not(native_capture))]
        let native = Native;
        let core = CaptureCore::new(core_parts(config, clock, budget, &native));
        let origin = origin(config);
        Self {
            errors: ErrorParts::new(config, &core.counters, &origin, adapters.errors),
            traces: Arc::new(spooling(
                config,
                ShipQueue::new(origin.clone(), adapters.traces, trace_queue_settings(config)),
            )),
            origin,
            core,
            finalizations: Arc::new(Semaphore::new(config.max_concurrent_finalizations())),
            threads,
            native,
        }
    }

    fn run(self, config: &Config) -> Result<Lines, StartError> {
        let (core, threads, config) = (self.core.clone(), self.threads.clone(), config.clone());
        let finishing_threads = config.max_concurrent_finalizations();
        let errors = self.errors.as_ref().map(|errors| errors.core.clone());
        runtime::start(threads, core, errors, finishing_threads, move || self.parts(&config))
    }

    fn parts(self, config: &Config) -> Parts {
        let intensity = config.hooks().restart_intensity.unwrap_or(RestartPolicy::DEFAULT.intensity);
        Parts {
            core: self.core,
            origin: self.origin,
            restart_policy: RestartPolicy { intensity, ..RestartPolicy::DEFAULT },
            has_capture: config.capture(),
            traces: self.traces,
            errors: self.errors.map(|errors| errors.queue),
            finalizer: Finalizer::new(self.finalizations),
            #[cfg(native_capture)]
            symbols: self.native.symbols,
            slots: Slots::default(),
            threads: self.threads,
        }
    }

    /// Puts a new configuration into force, as far as a running agent can.
    pub(super) fn apply(&self, old: &Config, new: &Config) {
        let core = &self.core;
        core.set_rules(rules(new));
        core.permits.set_limit(new.max_active_traces());
        core.budget.set_max(new.max_capture_bytes() as u64);
        core.dedupe.set_window(dedupe_window(new));
        core.dedupe.set_max_identifiers(new.max_dedupe_identifiers());
        self.traces.configure(trace_queue_settings(new));
        self.errors.iter().for_each(|errors| errors.apply(new));
        let (was, is) = (old.max_concurrent_finalizations(), new.max_concurrent_finalizations());
        self.finalizations.add_permits(is.saturating_sub(was));
        // Those that are in use are forgotten by the next reload at the latest.
        self.finalizations.forget_permits(was.saturating_sub(is));
    }
}

pub(super) fn origin(config: &Config) -> Arc<Origin> {
    Arc::new(Origin {
        service: config.service().into(),
        environment: config.environment().into(),
        release: config.release().into(),
    })
}

#[cfg_attr(not(native_capture), expect(unused_variables, reason = "there is nothing in it"))]
fn core_parts(config: &Config, clock: Clock, budget: CaptureBudget, native: &Native) -> CoreParts {
    CoreParts {
        #[cfg(native_capture)]
        native: native.capture.clone(),
        clock,
        counters: Arc::default(),
        budget,
        permits: ActivePermits::new(config.max_active_traces()),
        dedupe: DedupeTable::new(dedupe_window(config), config.max_dedupe_identifiers()),
        handlers: Handlers(config.hooks().handlers.clone()),
        rules: rules(config),
    }
}

fn rules(config: &Config) -> Rules {
    Rules { limits: config.limits().clone(), threshold_for_tests: config.hooks().threshold_for_tests }
}

/// Zero switches the table off.
fn dedupe_window(config: &Config) -> Duration {
    if config.dedupe_enabled() { config.dedupe_window() } else { Duration::ZERO }
}

pub(super) fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

/// With the spool, where one is configured.
pub(super) fn spooling<B: Batch>(config: &Config, queue: ShipQueue<B>) -> ShipQueue<B> {
    match config.spool_dir() {
        Some(dir) => queue.spooling(dir.to_owned(), config.spool_max_bytes()),
        None => queue,
    }
}

fn trace_queue_settings(config: &Config) -> QueueSettings {
    QueueSettings {
        limits: OutboxLimits {
            items: at_least_one(config.max_buffer_size()),
            bytes: config.max_outbox_bytes(),
            batch: at_least_one(config.max_batch_size()),
        },
        flush_interval: config.flush_interval(),
        send_timeout: config.send_timeout(),
    }
}
