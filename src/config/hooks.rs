//! The code that a host plugs into a configuration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ConfigBuilder;
use crate::model::error_event::ErrorEvent;
use crate::model::event::{Decision, EventHandler, StartEvent};
use crate::shipping::adapter::{BoxedAdapter, ShipperAdapter};
use crate::shipping::errors::ErrorBatch;
use crate::shipping::trace::TraceBatch;

/// See [`ConfigBuilder::before_send`].
type BeforeSend = Arc<dyn Fn(ErrorEvent) -> Option<ErrorEvent> + Send + Sync>;

/// What runs beside the agent's own code.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Asked in this order, the default handler after them.
    pub(crate) handlers: Vec<Arc<dyn EventHandler>>,
    /// Where traces go; `None` = the server, or `local_dir`.
    pub(crate) shipper: Option<BoxedAdapter<TraceBatch>>,
    /// Where error events go; `None` = the server, or `local_dir`.
    pub(crate) error_shipper: Option<BoxedAdapter<ErrorBatch>>,
    /// The host's last word about an error event.
    pub(crate) before_send: Option<BeforeSend>,
    /// For a host's tests: the threshold of every event that the configuration gives none.
    pub(crate) threshold_for_tests: Option<Duration>,
    /// For our own tests: restarts within five seconds before the agent gives up.
    pub(crate) restart_intensity: Option<u32>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("handlers", &self.handlers.len())
            .field("shipper", &self.shipper.is_some())
            .field("error_shipper", &self.error_shipper.is_some())
            .field("before_send", &self.before_send.is_some())
            .finish()
    }
}

impl ConfigBuilder {
    /// Adds a handler, which decides what start events are traced as. Handlers are asked in the order given, the
    /// default handler last.
    pub fn handler(mut self, handler: impl EventHandler) -> Self {
        self.hooks.handlers.push(Arc::new(handler));
        self
    }

    /// Adds a closure as a handler.
    pub fn handler_fn<F>(self, handle: F) -> Self
    where
        F: Fn(&StartEvent<'_>) -> Decision + Send + Sync + 'static,
    {
        self.handler(handle)
    }

    /// Ships traces through this adapter, whatever `api_key` and `server_url` say. A second call replaces the first.
    pub fn shipper(mut self, adapter: impl ShipperAdapter<TraceBatch>) -> Self {
        self.hooks.shipper = Some(BoxedAdapter::new(adapter));
        self
    }

    /// Ships error events through this adapter, whatever `api_key` and `server_url` say. A second call replaces the
    /// first.
    pub fn error_shipper(mut self, adapter: impl ShipperAdapter<ErrorBatch>) -> Self {
        self.hooks.error_shipper = Some(BoxedAdapter::new(adapter));
        self
    }

    /// Looks at each error event before it is shipped, when it is redacted already: may change it, or drop it with
    /// `None`.
    ///
    /// It runs on the agent's blocking pool, once for each event, and within the time of its first try, so it may
    /// block. A panic in it drops the event and is counted in [`Stats::before_send_panics`](crate::Stats). What it adds
    /// is not redacted again. A second call replaces the first.
    pub fn before_send(mut self, look: impl Fn(ErrorEvent) -> Option<ErrorEvent> + Send + Sync + 'static) -> Self {
        self.hooks.before_send = Some(Arc::new(look));
        self
    }

    /// For a host's tests: the threshold of every event to which the configuration gives none.
    #[cfg(feature = "testing")]
    pub(crate) fn threshold_for_tests(mut self, threshold: Duration) -> Self {
        self.hooks.threshold_for_tests = Some(threshold);
        self
    }

    /// For our own tests, which restart actors far more often than a running agent may.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn __restart_intensity(mut self, restarts: u32) -> Self {
        self.hooks.restart_intensity = Some(restarts);
        self
    }
}
