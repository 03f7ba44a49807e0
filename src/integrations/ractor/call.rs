//! Calls: what goes out, what comes back, and the label on the waiting between the two.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{ActorRef, Message, RpcReplyPort};
use serde::Serialize;

use crate::BoxFuture;
use crate::capture::call::{CallNamed, CallSlot};
use crate::model::call_term::call_label;
use crate::model::sanitizer::call_term;

/// Why a call has no reply. It holds no part of the message, so it is `Send + Sync + 'static`, fit for `?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The message could not be sent.
    #[error("the actor has stopped")]
    Stopped,
    /// The time given to the call has passed.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// The actor took the message, or ended with it in its mailbox, and did not answer.
    #[error("the actor dropped the reply port")]
    NoReply,
}

/// Calls `actor` and labels the waiting as `CALL <process>`. The message needs no bound.
///
/// As with ractor's own `call`, nothing is sent before the future is polled, and the future must be polled on
/// a tokio runtime with time enabled: tokio's timer panics elsewhere. Outside of a trace it costs one
/// allocation more than ractor's, for a type without the message in it.
///
/// The call belongs to the trace in which it is made, wherever it is polled: write
/// `scope.run(async { call(…).await })`, because in `scope.run(call(…))` it is made before the trace runs.
///
/// A call owns the time from the sending of its message to the reply. One that fails, times out or is dropped
/// owns nothing: that time stays `SLEEP`.
pub fn call<M: Message, R: Send + 'static>(
    actor: &ActorRef<M>,
    build: impl FnOnce(RpcReplyPort<R>) -> M + Send + 'static,
    timeout: Duration,
) -> Call<R> {
    let slot = CallSlot::open(|_| call_label(Some(&process_name(actor)), None));
    Prepared { actor: actor.clone(), slot }.ask(build, timeout)
}

/// As [`call()`], labelled as `CALL <process> <shape of form>`.
///
/// `form` is looked at before this returns, and only when the caller is traced, so the result does not borrow it.
///
/// ```
/// use std::time::Duration;
/// # use flame_on::ractor::ractor::{ActorRef, RpcReplyPort};
/// # enum Db { Query(String, RpcReplyPort<u64>) }
/// # #[cfg(feature = "ractor-cluster")]
/// # impl flame_on::ractor::ractor::Message for Db {}
///
/// # async fn f(db: ActorRef<Db>) -> Result<(), flame_on::CallError> {
/// let sql = String::from("select 1");
/// // In the flame graph: SLEEP;CALL app.db {"query", "..."}
/// let rows = flame_on::call_labelled(
///     &db,
///     &("query", &sql),
///     |reply| Db::Query("select 1".into(), reply),
///     Duration::from_secs(1),
/// );
/// # rows.await?;
/// # Ok(())
/// # }
/// ```
pub fn call_labelled<M: Message, R: Send + 'static, T: Serialize + ?Sized>(
    actor: &ActorRef<M>,
    form: &T,
    build: impl FnOnce(RpcReplyPort<R>) -> M + Send + 'static,
    timeout: Duration,
) -> Call<R> {
    prepare(actor, form).ask(build, timeout)
}

/// The first step of [`call!`](macro@crate::call): the label, while the arguments can still be borrowed.
pub fn prepare<M: Message, T: Serialize + ?Sized>(actor: &ActorRef<M>, form: &T) -> Prepared<M> {
    let slot =
        CallSlot::open(|label_numbers| call_label(Some(&process_name(actor)), Some(&call_term(form, label_numbers))));
    Prepared { actor: actor.clone(), slot }
}

/// A call whose message is still to be made.
#[derive(Debug)]
#[must_use = "nothing is sent before `ask`"]
pub struct Prepared<M> {
    actor: ActorRef<M>,
    slot: CallSlot,
}

impl<M: Message> Prepared<M> {
    /// The second step: the message, which the arguments may move into.
    pub fn ask<R: Send + 'static>(
        self,
        build: impl FnOnce(RpcReplyPort<R>) -> M + Send + 'static,
        timeout: Duration,
    ) -> Call<R> {
        let Self { actor, slot } = self;
        let reply: BoxFuture<'static, _> = Box::pin(async move {
            match actor.call(build, Some(timeout)).await {
                Ok(CallResult::Success(reply)) => Ok(reply),
                Ok(CallResult::Timeout) => Err(CallError::Timeout(timeout)),
                Ok(CallResult::SenderError) => Err(CallError::NoReply),
                // Holds the message, which is nobody's business from here on.
                Err(_unsent) => Err(CallError::Stopped),
            }
        });
        Call(CallNamed::new(reply, slot))
    }
}

/// The name it is registered under, else the path of its message type.
fn process_name<M: Message>(actor: &ActorRef<M>) -> String {
    actor.get_name().unwrap_or_else(|| std::any::type_name::<M>().to_owned())
}

/// The future of a call: `Send` and `'static`, whatever its message and its label were made of.
///
/// Dropping it gives the call up. The actor still handles a message that has been sent.
#[must_use = "futures do nothing unless awaited"]
pub struct Call<R>(CallNamed<BoxFuture<'static, Result<R, CallError>>>);

impl<R> Future for Call<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll_reply(cx, Result::is_ok)
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// Calls an actor, like ractor's `call_t!`: `call!(actor, Msg::Variant, timeout, arguments…)` sends
/// `Msg::Variant(arguments…, reply)`. The timeout is a [`Duration`].
///
/// The label is made from the variant's name and the shape of the arguments. One that is not `Serialize` shows
/// as `"term"`. Each argument is evaluated once, before the actor and the timeout, traced or not. In a function
/// that is generic over an argument's type, it shows its shape only if the function asks for `Serialize`.
///
/// Gives a [`Call`]; what [`call`](fn@crate::call) says about runtimes and time holds here too.
///
/// ```
/// use std::time::Duration;
/// # use flame_on::ractor::ractor::{ActorRef, RpcReplyPort};
/// # struct Options;
///
/// enum Db {
///     Query(String, Options, u32, RpcReplyPort<u64>),
/// }
/// # #[cfg(feature = "ractor-cluster")]
/// # impl flame_on::ractor::ractor::Message for Db {}
///
/// # async fn f(db: ActorRef<Db>, options: Options) -> Result<(), flame_on::CallError> {
/// let sql = String::from("select 1");
/// // In the flame graph: SLEEP;CALL app.db {:query, "...", "term", 7}
/// let rows = flame_on::call!(db, Db::Query, Duration::from_millis(500), sql, options, 7).await?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! call {
    ($actor:expr, $($variant:ident)::+, $timeout:expr $(, $arg:expr)* $(,)?) => {
        $crate::call!(@bind ($actor) ($($variant)::+) ($timeout) [] $($arg,)*)
    };
    // One local for each argument, so that each is evaluated once; hygiene keeps them apart.
    (@bind $actor:tt $variant:tt $timeout:tt [$($done:ident)*] $arg:expr, $($rest:expr,)*) => {{
        let arg = $arg;
        $crate::call!(@bind $actor $variant $timeout [$($done)* arg] $($rest,)*)
    }};
    (@bind ($actor:expr) ($($variant:ident)::+) ($timeout:expr) [$($done:ident)*]) => {{
        #[allow(unused_imports)]
        use $crate::__private::call_form::{ByShape as _, Opaque as _};
        let call = $crate::ractor::__prepare(
            &$actor,
            &$crate::__private::call_form::Form::new(stringify!($($variant)::+))
                $(.with((&$crate::__private::call_form::Arg(&$done)).field()))*,
        );
        call.ask(move |reply| $($variant)::+($($done,)* reply), $timeout)
    }};
}
