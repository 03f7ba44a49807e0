//! Ownership of a running agent.

use std::ops::Deref;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{FlameOn, ShutdownReport};
use crate::capture::current::is_in_agent;
use crate::runtime::Stop;

/// How long a drop waits for what is left to be shipped.
const DROP_LIMIT: Duration = Duration::from_secs(2);

/// Owns a running agent: not `Clone`; derefs to the handle.
///
/// Dropping it stops the agent. Outside of a tokio runtime the drop ships what is left for at most 2 s; inside
/// one it only signals, because it must not block a worker. [`shutdown`](Self::shutdown) waits, and says what was
/// shipped and lost.
#[must_use = "the agent stops when the guard is dropped; bind it to a name in `main`"]
#[derive(Debug)]
pub struct FlameOnGuard {
    handle: FlameOn,
    is_stopped: bool,
}

impl FlameOnGuard {
    pub(super) fn new(handle: FlameOn) -> Self {
        Self { handle, is_stopped: false }
    }

    /// A guard of nothing, so that a service can run on when its configuration is bad.
    pub fn disabled() -> Self {
        Self::new(FlameOn::disabled())
    }

    /// A handle to the agent.
    pub fn handle(&self) -> FlameOn {
        self.handle.clone()
    }

    /// Stops the agent: no new traces, running ones are finished as they stand, everything is shipped. Takes at
    /// most about `limit`, and blocks no thread.
    pub async fn shutdown(mut self, limit: Duration) -> ShutdownReport {
        self.is_stopped = true;
        self.handle.ask(limit, |lines, done| lines.send_stop(Stop { limit, done })).await
    }

    /// As [`shutdown`](Self::shutdown), for code without a runtime: blocks this thread for at most about `limit`.
    pub fn shutdown_blocking(mut self, limit: Duration) -> ShutdownReport {
        self.is_stopped = true;
        self.handle.ask_blocking(limit, |lines, done| lines.send_stop(Stop { limit, done }))
    }

    fn signal_stop(&self) {
        if let Some(inner) = self.handle.reachable() {
            inner.lines.send_stop(Stop { limit: DROP_LIMIT, done: Box::new(|_| ()) });
        }
    }
}

impl Deref for FlameOnGuard {
    type Target = FlameOn;

    fn deref(&self) -> &FlameOn {
        &self.handle
    }
}

impl Drop for FlameOnGuard {
    fn drop(&mut self) {
        if self.is_stopped {
            return;
        }
        // Never waits on the agent's own thread, which would wait for itself.
        if Handle::try_current().is_ok() || is_in_agent() {
            self.signal_stop();
        } else {
            self.handle.ask_blocking(DROP_LIMIT, |lines, done| lines.send_stop(Stop { limit: DROP_LIMIT, done }));
        }
    }
}
