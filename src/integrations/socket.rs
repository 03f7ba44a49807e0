//! Reports events of sockets (websockets, server-driven pages) that fail.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;

use crate::errors::context::{ErrorContext, Surroundings};
use crate::errors::report::Report;
use crate::errors::reporter::{Reported, Reporter};
use crate::model::error_event::{ErrorEvent, User};
use crate::{EventId, FlameOn};

const ROUTE: &str = "live_view.event";

/// What an error tells about the socket event it happened in.
///
/// ```
/// # async fn f(flame_on: flame_on::FlameOn) {
/// use flame_on::{SocketEvent, User};
///
/// let event = SocketEvent::new("CartView", "add").user(User::id("7"));
/// let done = flame_on.socket_event(event).run(async { Err::<(), _>("sold out") }).await;
/// # assert!(done.is_err());
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to `FlameOn::socket_event`"]
pub struct SocketEvent {
    view: String,
    event: String,
    user: Option<User>,
}

impl SocketEvent {
    /// An event of this name for this view. The route of its errors is `live_view.event`.
    pub fn new(view: impl Into<String>, event: impl Into<String>) -> Self {
        Self { view: view.into(), event: event.into(), user: None }
    }

    /// Says who is at the other end.
    pub fn user(mut self, user: impl Into<Option<User>>) -> Self {
        self.user = user.into();
        self
    }
}

struct Facts {
    contexts: BTreeMap<&'static str, String>,
}

impl Surroundings for Facts {
    fn describe(&self, event: &mut ErrorEvent) {
        if event.route.is_empty() {
            ROUTE.clone_into(&mut event.route);
        }
        for (name, value) in &self.contexts {
            event.contexts.entry((*name).to_owned()).or_insert_with(|| value.clone());
        }
    }
}

impl FlameOn {
    /// A reporter for one socket event: what runs in it has an error context of its own with the event's user, and its
    /// error or panic is captured, with `handled: false`.
    pub fn socket_event(&self, event: SocketEvent) -> SocketReporter {
        let SocketEvent { view, event, user } = event;
        let context = |core: &_| {
            let mut context = ErrorContext::of(core);
            context.set_user(user);
            context
        };
        SocketReporter(Reporter::of(self, context, || Facts { contexts: [("view", view), ("event", event)].into() }))
    }
}

/// Reports one socket event; made by [`FlameOn::socket_event`].
#[derive(Debug)]
#[must_use = "call `run`"]
pub struct SocketReporter(Reporter);

impl SocketReporter {
    /// Handles the event. The result, or the panic, goes on unchanged.
    pub fn run<T, E: Display + 'static, F: Future<Output = Result<T, E>>>(self, work: F) -> Reported<F> {
        Reported::new(work, self.0)
    }

    /// Handles the event in code that is no future.
    ///
    /// # Errors
    /// The code's own.
    pub fn in_scope<T, E: Display + 'static>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = self.0.inside(work);
        if let Err(error) = &result {
            self.0.failed(error);
        }
        result
    }

    /// Captures an error that does not end the event.
    #[track_caller]
    pub fn capture<E: Error + 'static>(&self, error: &E) -> EventId {
        let report = Report::error(error);
        self.0.inside(|| report.handled(false).capture())
    }
}
