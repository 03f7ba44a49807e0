//! From a checked configuration to a running tree.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{FlameOn, FlameOnGuard, Inner, registry};
use crate::actors::parts::{Parts, Slots, TreeSettings};
use crate::actors::restart::RestartPolicy;
use crate::capture::clock::Clock;
use crate::capture::core::{CaptureCore, CoreParts, Handlers};
use crate::capture::native::fork;
use crate::capture::rules::Rules;
use crate::config::{Config, ConfigError};
use crate::model::counters::{Count, Counters};
use crate::runtime::{self, AgentThreads};
use crate::safety::budget::CaptureBudget;
use crate::safety::dedupe::DedupeTable;
use crate::safety::permits::ActivePermits;
use crate::shipping::adapter::BoxedAdapter;
use crate::shipping::contained::Contained;
use crate::shipping::outbox::{Outbox, OutboxLimits};
use crate::shipping::trace::{Origin, Trace, TraceBatch};

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
    /// With `capture` off it starts an empty supervisor, and says once in the log that it is off.
    ///
    /// # Errors
    /// When the adapter or a thread cannot be had. The host can go on with [`FlameOnGuard::disabled`].
    pub fn start(config: Config) -> Result<FlameOnGuard, StartError> {
        fork::watch();
        for warning in config.warnings() {
            tracing::warn!(target: "flame_on", "{warning}");
        }
        if !config.capture() {
            tracing::info!(target: "flame_on", "FlameOn is off: `capture` is not set");
        }
        let origin = Arc::new(Origin {
            service: config.service().into(),
            environment: config.environment().into(),
            release: config.release().into(),
        });
        let adapter = adapter(&config, &origin)?;
        let counters = Arc::new(Counters::default());
        let core = CaptureCore::new(core_parts(&config, counters.clone()));
        let outbox = outbox(&config, counters);
        let commands = {
            let (core, outbox, config, threads) = (core.clone(), outbox.clone(), config.clone(), AgentThreads::shared());
            let settings = tree_settings(&config, origin);
            let made_of = (core.clone(), threads.clone());
            runtime::start(made_of.1, made_of.0, move |handle| {
                parts(&config, settings, core, outbox, adapter, handle, threads)
            })?
        };
        let is_default = config.is_process_default();
        let inner = Arc::new(Inner { core, config: std::sync::RwLock::new(Arc::new(config)), commands, outbox });
        registry::register(&inner, is_default);
        Ok(FlameOnGuard::new(FlameOn(Some(inner))))
    }
}
