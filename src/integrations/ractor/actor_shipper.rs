//! An actor of the user's own as the destination of batches.

use std::fmt;
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{ActorRef, Message, RpcReplyPort};

use crate::{ShipContext, ShipError, ShipperAdapter};

/// Ships by asking an actor: the user's own actor, message type, runtime and supervision.
///
/// The actor gets `build(batch, reply)`, usually a variant of its message, and answers when the batch is where
/// it belongs. A batch fails, retryably, when the actor has stopped, drops the reply port or stays silent for
/// the timeout (or for `send_timeout_ms`, if that is shorter). It may then still handle that batch, and be given
/// the same traces again: their ids tell.
///
/// The actor runs wherever it was spawned. At shutdown its runtime has to go on until the last batch is
/// answered: await [`shutdown`](crate::FlameOnGuard::shutdown) before stopping the actor, and do not block a
/// current-thread runtime with `shutdown_blocking`.
///
/// ```
/// use std::time::Duration;
/// use flame_on::ractor::ActorShipper;
/// use flame_on::{Config, ShipError, TraceBatch};
/// # use flame_on::ractor::ractor::{ActorRef, RpcReplyPort};
///
/// enum Uploader {
///     Ship(TraceBatch, RpcReplyPort<Result<(), ShipError>>),
/// }
/// # #[cfg(feature = "ractor-cluster")]
/// # impl flame_on::ractor::ractor::Message for Uploader {}
///
/// # fn f(uploader: ActorRef<Uploader>) {
/// let shipper = ActorShipper::new(uploader, Duration::from_secs(5), Uploader::Ship);
/// let config = Config::builder().shipper(shipper);
/// # }
/// ```
#[derive(Clone)]
pub struct ActorShipper<M, F> {
    actor: ActorRef<M>,
    build: F,
    timeout: Duration,
}

impl<M: Message, F> ActorShipper<M, F> {
    /// Ships to `actor`, which has `timeout` to answer each batch.
    pub fn new(actor: ActorRef<M>, timeout: Duration, build: F) -> Self {
        Self { actor, build, timeout }
    }
}

impl<B, M, F> ShipperAdapter<B> for ActorShipper<M, F>
where
    B: Clone + Send + Sync + 'static,
    M: Message,
    F: Fn(B, RpcReplyPort<Result<(), ShipError>>) -> M + Send + Sync + 'static,
{
    async fn ship(&self, batch: &B, _context: &ShipContext) -> Result<(), ShipError> {
        let batch = batch.clone();
        match self.actor.call(|reply| (self.build)(batch, reply), Some(self.timeout)).await {
            Ok(CallResult::Success(result)) => result,
            Ok(CallResult::Timeout) => {
                Err(ShipError::retryable(format!("the shipper actor did not answer within {:?}", self.timeout)))
            }
            Ok(CallResult::SenderError) => Err(ShipError::retryable("the shipper actor dropped the reply port")),
            Err(_unsent) => Err(ShipError::retryable("the shipper actor has stopped")),
        }
    }
}

impl<M, F> fmt::Debug for ActorShipper<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorShipper")
            .field("actor", &self.actor)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
