//! A tower layer that makes each call of any service a unit of work.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::capture::admission;
use crate::capture::core::CaptureCore;
use crate::capture::recorder::Leave;
use crate::errors::context::Surroundings;
use crate::errors::reporter::Reporter;
use crate::model::error_event::ErrorEvent;
use crate::{FlameOn, Scope, Traced, WithErrorContext};

impl FlameOn {
    /// A layer for any tower service that is not HTTP (jobs, queues): each call is a [unit](FlameOn::unit) `name`.
    ///
    /// `identifier` makes the identifier of a request. It runs only for calls that are traced; a panic in it is caught
    /// and counted, and the call is not traced. Inside a trace of the same agent a call is a frame of that trace.
    ///
    /// With `capture_errors` each call has an error context of its own, whose errors and panics have `name` as their
    /// route. A call that fails is not reported by itself; the layer of `FlameOn::job_layer` does that.
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// struct Job { kind: &'static str }
    ///
    /// let layer = flame_on.unit_layer("shop.job", |job: &Job| job.kind);
    /// let worker = tower::ServiceBuilder::new()
    ///     .layer(layer)
    ///     .service_fn(|job: Job| async move { Ok::<_, std::convert::Infallible>(job.kind.len()) });
    /// ```
    pub fn unit_layer<F>(&self, name: &'static str, identifier: F) -> UnitLayer<F> {
        UnitLayer { core: self.core().cloned(), agent: self.clone(), name, identifier }
    }
}

/// Traces the calls of a tower service; made by [`FlameOn::unit_layer`].
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to a service"]
pub struct UnitLayer<F> {
    core: Option<Arc<CaptureCore>>,
    agent: FlameOn,
    name: &'static str,
    identifier: F,
}

struct Route(&'static str);

impl Surroundings for Route {
    fn describe(&self, event: &mut ErrorEvent) {
        if event.route.is_empty() {
            self.0.clone_into(&mut event.route);
        }
    }
}

impl<S, F: Clone> Layer<S> for UnitLayer<F> {
    type Service = UnitService<S, F>;

    fn layer(&self, inner: S) -> UnitService<S, F> {
        UnitService { inner, layer: self.clone() }
    }
}

impl<F> fmt::Debug for UnitLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitLayer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A service whose calls are traced; made by [`UnitLayer`].
#[derive(Debug, Clone)]
pub struct UnitService<S, F> {
    inner: S,
    layer: UnitLayer<F>,
}

impl<S, F, R, I> Service<R> for UnitService<S, F>
where
    S: Service<R>,
    F: Fn(&R) -> I,
    I: Into<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Traced<WithErrorContext<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let UnitLayer { core, agent, name, identifier } = &self.layer;
        let mut scope = match core {
            Some(core) => admission::unit(core, name, || identifier(&request)),
            None => Scope::none(),
        };
        // Inner services may work in `call` already; until the first poll the time is the root's own.
        let context = Reporter::new(agent, || Route(name));
        let future = scope.call_leaving(|| context.inside(|| self.inner.call(request)), |_| Some(Leave::Ready));
        scope.run(context.around(future))
    }
}
