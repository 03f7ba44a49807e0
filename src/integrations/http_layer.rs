//! A tower layer that traces HTTP and gRPC requests, and reports those that fail.
//!
//! ```text
//!          call   poll     poll = head    poll_frame    poll_frame      poll_frame = end
//! trace   ├────┤·├────┤ … ├────┤         ├──────┤      ├──────┤ …      ├────┤
//! time      In  root's  SLEEP      PEER            PEER           PEER
//!         handler phase: ResponseFuture │ body phase: TracedBody
//! ```
//!
//! - The service works inside the trace from `call` on. Between `call` and the first poll nothing waits for an
//!   event: that time is the root's own, never `SLEEP`.
//! - Once the head is out, whatever passes while nobody polls the body is `PEER`: the client, or what stands between
//!   it and this layer, takes its time. It is outside of the threshold.
//! - The scope moves from the future into the body; wherever either of them is dropped, the trace ends as cancelled.
//! - A layer inside a trace of its own agent (two layers stacked) is a frame of that trace. Inside the trace of
//!   *another* agent it makes a trace of its own; frames then go to the inner trace alone, and for the outer one
//!   the time is that of the frame that was open around it. A request that the dice left out leaves no mark: a second
//!   layer rolls again.

mod body;
mod errors;
mod request_info;
mod response;
mod rules;

use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::TracedBody;
pub use self::request_info::RequestInfo;
pub use self::response::ResponseFuture;
use self::rules::{Rules, Verdict};
use crate::capture::admission::{self, Dice};
use crate::capture::core::CaptureCore;
use crate::capture::recorder::Leave;
use crate::errors::reporter::Reporter;
use crate::{FlameOn, Scope};

impl FlameOn {
    /// A layer that traces each request of a tower HTTP service (axum, tonic, hyper): those that the dice choose,
    /// and [`FlameOnLayer::force`]. Add it last, so that it is around the other layers; in axum with
    /// `Router::layer`, where the matched path is known.
    ///
    /// A request is the event `axum.request.start` with `method` and, if known, `route` (axum's matched path, else
    /// what [`FlameOnLayer::route`] says). A gRPC request (a POST of content type `application/grpc…` to
    /// `/package.Service/Method`) is `tonic.request.start` with that `path`. Without a route the identifier is made
    /// when the response is known, of method and status class (`GET 4xx`; `GET error` if the service failed), and
    /// deduplication does not apply; [`set_identifier`](crate::set_identifier) in the handler supplies a better one.
    /// It is never a raw path.
    ///
    /// With `capture_errors` it opens an error context for each request, in which
    /// [`set_user`](crate::set_user) and the like act, and reports requests that fail: by an error of the service, a
    /// status 5xx, or a panic, which all pass through unchanged. What is told of the request is its method, URL, route,
    /// headers and remote address (axum's `ConnectInfo`, or a `SocketAddr` in the extensions), without secrets.
    ///
    /// The trace ends with the response's body: at its end or its error, or when it is dropped. With the head end
    /// responses without a body (to HEAD and CONNECT, status 1xx, 204 and 304, an empty body) and event streams
    /// (`text/event-stream`). Errors, panics and bodies pass through unchanged, and once the agent has stopped the
    /// layer does nothing.
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// # async fn show_user() {}
    /// let app: axum::Router = axum::Router::new()
    ///     .route("/users/{id}", axum::routing::get(show_user))
    ///     .layer(flame_on.layer().skip(|request| request.uri.path() == "/health"));
    /// ```
    pub fn layer(&self) -> FlameOnLayer {
        FlameOnLayer(Arc::new(Shared { core: self.core().cloned(), rules: Rules::default(), agent: self.clone() }))
    }
}

/// Traces the requests of a tower HTTP service; made by [`FlameOn::layer`].
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is added to a service"]
pub struct FlameOnLayer(Arc<Shared>);

/// In one `Arc`, because axum clones the service for each request.
#[derive(Debug, Clone)]
struct Shared {
    core: Option<Arc<CaptureCore>>,
    rules: Rules,
    agent: FlameOn,
}

impl FlameOnLayer {
    /// Never traces requests for which `rule` is true, [forced](Self::force) ones among them.
    ///
    /// It runs for each request while the agent is on, so keep it cheap. A panic in it is caught, counted in
    /// [`Stats::handler_panics`](crate::Stats) and taken as false. A second rule replaces the first.
    pub fn skip(mut self, rule: impl Fn(&RequestInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).rules.skip = Some(Arc::new(rule));
        self
    }

    /// Traces requests for which `rule` is true whatever the dice say. Breaker, handlers, threshold, dedupe and
    /// `max_active_traces` apply to them as to all others.
    ///
    /// It runs for each request while the agent is on, so keep it cheap. A panic in it is caught, counted in
    /// [`Stats::handler_panics`](crate::Stats) and taken as false. A second rule replaces the first.
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// let layer = flame_on.layer().force(|r| r.headers.get("x-flame-on").is_some_and(|value| value == "secret"));
    /// ```
    pub fn force(mut self, rule: impl Fn(&RequestInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).rules.force = Some(Arc::new(rule));
        self
    }

    /// Says the route of requests that have no matched path: fallbacks, nested services, other routers than axum's.
    ///
    /// The identifier is then `METHOD route`, and deduplication goes by it; so return the route's pattern, and never
    /// the path of the request. It runs only for requests that are about to be traced. A panic in it is caught,
    /// counted in [`Stats::handler_panics`](crate::Stats) and taken as `None`. A second rule replaces the first.
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// let files = |path: &str| path.starts_with("/files/").then(|| "/files/{*path}".to_owned());
    /// let layer = flame_on.layer().route(move |request| files(request.uri.path()));
    /// ```
    pub fn route(mut self, rule: impl Fn(&RequestInfo<'_>) -> Option<String> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).rules.route = Some(Arc::new(rule));
        self
    }

    #[inline]
    fn start(&self, info: &RequestInfo<'_>) -> Scope {
        let Shared { core: Some(core), rules, .. } = &*self.0 else { return Scope::none() };
        let dice = match rules.verdict(core, info) {
            Verdict::Skip => return Scope::none(),
            Verdict::Trace => Dice::Forced,
            Verdict::Undecided => Dice::Rolled,
        };
        match info.grpc_path() {
            Some(path) => admission::event(core, "tonic.request.start", dice, || crate::metadata! { "path" => path }),
            None => admission::event(core, "axum.request.start", dice, || {
                let metadata = crate::metadata! { "method" => info.method.as_str() };
                match rules.route_of(core, info) {
                    Some(route) => metadata.with("route", route),
                    None => metadata,
                }
            }),
        }
    }
}

impl<S> Layer<S> for FlameOnLayer {
    type Service = FlameOnService<S>;

    fn layer(&self, inner: S) -> FlameOnService<S> {
        FlameOnService { inner, layer: self.clone() }
    }
}

/// A service whose requests are traced; made by [`FlameOnLayer`].
#[derive(Debug, Clone)]
pub struct FlameOnService<S> {
    inner: S,
    layer: FlameOnLayer,
}

impl<S, ReqBody, ResBody> Service<http::Request<ReqBody>> for FlameOnService<S>
where
    S: Service<http::Request<ReqBody>, Response = http::Response<ResBody>>,
    S::Error: Display + 'static,
    ResBody: Body,
{
    type Response = http::Response<TracedBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<ReqBody>) -> Self::Future {
        let info = RequestInfo::of(&request);
        let reporter = errors::reporter(&self.layer.0.agent, &self.layer.0.rules, &info);
        let scope = self.layer.start(&info);
        if scope.is_sampled() || reporter.is_on() {
            return self.call_watched(request, scope, reporter);
        }
        // By itself: with a closure around the call, request and future would be copied into it and out of it.
        ResponseFuture::new(self.inner.call(request), Scope::none(), false, Reporter::default())
    }
}

impl<S> FlameOnService<S> {
    /// Calls the service in a trace, in an error context, or in both.
    #[inline(never)]
    fn call_watched<ReqBody>(
        &mut self,
        request: http::Request<ReqBody>,
        mut scope: Scope,
        reporter: Reporter,
    ) -> ResponseFuture<S::Future>
    where
        S: Service<http::Request<ReqBody>>,
    {
        let ends_with_head = matches!(*request.method(), http::Method::HEAD | http::Method::CONNECT);
        // Inner services may work in `call` already.
        let call = || reporter.inside(|| self.inner.call(request));
        let future = scope.call_leaving(call, |_| Some(Leave::Ready));
        ResponseFuture::new(future, scope, ends_with_head, reporter)
    }
}
