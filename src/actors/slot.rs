//! Where to find the live instance of a child, across its restarts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{ActorRef, Message, RpcReplyPort};

/// Holds the live instance of one actor; empty while there is none.
#[derive(Debug)]
pub(crate) struct Slot<M>(Arc<Mutex<Option<ActorRef<M>>>>);

impl<M> Default for Slot<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

// Not derived: a derive would ask for `M: Clone`.
impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message> Slot<M> {
    /// Puts a new instance in.
    pub(crate) fn set(&self, actor: Option<ActorRef<M>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = actor;
    }

    /// The live instance.
    pub(crate) fn get(&self) -> Option<ActorRef<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal. Lost when there is no instance: a new one looks for itself what there is to do.
    pub(crate) fn cast(&self, message: M) -> bool {
        self.get().is_some_and(|actor| actor.cast(message).is_ok())
    }

    /// Calls the live instance; `None` when there is none, it ends, or `limit` passes.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<R>) -> M,
        limit: Duration,
    ) -> Option<R> {
        match self.get()?.call(message, Some(limit)).await {
            Ok(CallResult::Success(reply)) => Some(reply),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => None,
        }
    }
}
