//! For tests of a host: an agent that traces everything, captures errors, and ships to memory.

use std::ops::Deref;
use std::time::Duration;

use crate::agent::{FlameOn, FlameOnGuard, StartError};
use crate::config::{Config, ConfigBuilder};
use crate::model::config::NativeCapture;
use crate::model::error_event::ErrorEvent;
use crate::shipping::memory::MemoryAdapter;
use crate::shipping::trace::Trace;

/// How long [`TestAgent::traces`] waits for the agent at most.
const LIMIT: Duration = Duration::from_secs(30);

/// An agent of one test: it samples everything, every threshold is zero, dedupe is off for traces and
/// errors, batches go to memory. Native capture is off, so that traces hold the same frames in every build;
/// [`TestAgent::with`] switches it on. It reads no environment, touches no network and no disk, and is never the process default, so tests can run side by side.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = flame_on::testing::TestAgent::start()?;
/// agent.unit("shop.batch", || "nightly").in_scope(|| flame_on::in_frame("load", || ()));
/// let traces = agent.traces_blocking();
/// assert_eq!(traces[0].identifier(), "nightly");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestAgent {
    guard: FlameOnGuard,
    shipped: MemoryAdapter<Trace>,
    errors: MemoryAdapter<ErrorEvent>,
}

impl TestAgent {
    /// Starts an agent.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start() -> Result<Self, StartError> {
        Self::with(|builder| builder)
    }

    /// Starts an agent with a changed configuration.
    ///
    /// # Errors
    /// When the configuration is wrong, or no thread can be had.
    pub fn with(change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Result<Self, StartError> {
        let shipped = MemoryAdapter::default();
        let errors = MemoryAdapter::default();
        let builder = Config::builder()
            .ignore_env()
            .process_default(false)
            .capture(true)
            .sample_rate(1.0)
            .dedupe_enabled(false)
            .native_capture(NativeCapture::Off)
            .threshold_for_tests(Duration::ZERO)
            // Written, so that it is as often on every machine.
            .cpu_sample_hz(997)
            // Tests look for names, in programs that are not optimised, on machines that are busy.
            .max_symbol_time(Duration::from_secs(60))
            .shipper(shipped.clone())
            .capture_errors(true)
            .error_dedupe_window(Duration::ZERO)
            .error_shipper(errors.clone());
        Ok(Self { guard: FlameOn::start(change(builder).build()?)?, shipped, errors })
    }

    /// A handle to the agent.
    pub fn handle(&self) -> FlameOn {
        self.guard.handle()
    }

    /// Takes the traces that have ended by now, in the order of finishing. Waits for the agent, never for a timer.
    pub async fn traces(&self) -> Vec<Trace> {
        self.flush(LIMIT).await;
        self.shipped.take()
    }

    /// As [`TestAgent::traces`], for tests without a runtime.
    pub fn traces_blocking(&self) -> Vec<Trace> {
        self.flush_blocking(LIMIT);
        self.shipped.take()
    }

    /// Takes the error events that have been captured by now, in the order of capture. Waits for the agent, never for
    /// a timer.
    pub async fn errors(&self) -> Vec<ErrorEvent> {
        self.flush(LIMIT).await;
        self.errors.take()
    }

    /// As [`TestAgent::errors`], for tests without a runtime.
    pub fn errors_blocking(&self) -> Vec<ErrorEvent> {
        self.flush_blocking(LIMIT);
        self.errors.take()
    }

    /// Stops the agent and gives the traces that were not taken.
    pub async fn shutdown(self) -> Vec<Trace> {
        self.guard.shutdown(LIMIT).await;
        self.shipped.take()
    }
}

impl Deref for TestAgent {
    type Target = FlameOn;

    fn deref(&self) -> &FlameOn {
        &self.guard
    }
}
