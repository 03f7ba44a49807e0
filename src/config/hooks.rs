//! The code that a host plugs into a configuration.

use std::fmt;
use std::sync::Arc;

use super::ConfigBuilder;
use pending::{BoxedAdapter, Decision, EventHandler, ShipperAdapter, StartEvent, TraceBatch};

/// What runs beside the agent's own code.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Asked in this order, the default handler after them.
    pub(crate) handlers: Vec<Arc<dyn EventHandler>>,
    /// Where traces go; `None` = the server, or `local_dir`.
    pub(crate) shipper: Option<BoxedAdapter<TraceBatch>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("handlers", &self.handlers.len())
            .field("shipper", &self.shipper.is_some())
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
}

/// Stands for `model::event` and `shipping`: to be replaced by a `use` of theirs.
#[allow(unreachable_pub)]
pub(crate) mod pending {
    use std::marker::PhantomData;

    pub struct StartEvent<'a>(PhantomData<&'a ()>);
    pub struct Decision;
    pub trait EventHandler: Send + Sync + 'static {
        fn handle(&self, event: &StartEvent<'_>) -> Decision;
    }
    impl<F: Fn(&StartEvent<'_>) -> Decision + Send + Sync + 'static> EventHandler for F {
        fn handle(&self, event: &StartEvent<'_>) -> Decision {
            self(event)
        }
    }

    pub struct TraceBatch;
    pub trait ShipperAdapter<B>: Send + Sync + 'static {}
    pub struct BoxedAdapter<B>(PhantomData<fn(B)>);
    impl<B> BoxedAdapter<B> {
        pub fn new(_adapter: impl ShipperAdapter<B>) -> Self {
            Self(PhantomData)
        }
    }
    impl<B> Clone for BoxedAdapter<B> {
        fn clone(&self) -> Self {
            Self(PhantomData)
        }
    }
}
