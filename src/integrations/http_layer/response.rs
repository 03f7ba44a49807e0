//! The handler phase: from the call to the response's head.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::request_info::starts_with;
use super::{TracedBody, errors};
use crate::Scope;
use crate::capture::recorder::Leave;
use crate::errors::reporter::Reporter;
use crate::model::trace_event::EndReason;

pin_project! {
    /// A response on its way; what a [`FlameOnService`](crate::FlameOnService) returns. 32 bytes larger than the
    /// inner future. Dropping it ends the trace as cancelled.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // Before `scope`: the future is dropped first, and its drop is a part of the trace's time.
        #[pin]
        future: F,
        scope: Scope,
        // The request's method allows no body in the response.
        ends_with_head: bool,
        reporter: Reporter,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(future: F, scope: Scope, ends_with_head: bool, reporter: Reporter) -> Self {
        Self { future, scope, ends_with_head, reporter }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Display + 'static,
{
    type Output = Result<Response<TracedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (future, scope, reporter) = (this.future, this.scope, this.reporter);
        if !scope.is_sampled() {
            if !reporter.is_on() {
                // By itself, so that the response is moved once.
                return match future.poll(cx) {
                    Poll::Ready(Ok(response)) => Poll::Ready(Ok(wrap(response, Scope::none(), Reporter::default()))),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                };
            }
            let polled = reporter.inside(|| future.poll(cx));
            return polled.map(|result| finish(result, reporter));
        }
        let ends_with_head = *this.ends_with_head;
        let (polled, after) = scope.poll_leaving(
            cx,
            |cx| {
                let polled = reporter.inside(|| future.poll(cx));
                if let Poll::Ready(result) = &polled {
                    // In here, for the id of the trace.
                    errors::report(reporter, result);
                }
                // In here too, because the body's own code says whether it is empty.
                let after = After::of(&polled, ends_with_head);
                (polled, after)
            },
            |(_, after)| Some(after.leave()),
        );
        polled.map(|result| {
            describe(scope, &result);
            if after == After::End {
                scope.end(EndReason::Done);
            }
            let errors = std::mem::take(reporter);
            result.map(|response| wrap(response, scope.take(), errors))
        })
    }
}

/// The end of a request that is not traced, and whose errors are captured.
fn finish<B, E: Display + 'static>(
    result: Result<Response<B>, E>,
    reporter: &mut Reporter,
) -> Result<Response<TracedBody<B>>, E> {
    errors::report(reporter, &result);
    let errors = std::mem::take(reporter);
    result.map(|response| wrap(response, Scope::none(), errors))
}

fn wrap<B>(response: Response<B>, scope: Scope, reporter: Reporter) -> Response<TracedBody<B>> {
    response.map(|body| TracedBody::new(body, scope, reporter))
}

/// What follows a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Another poll, once the task has been woken.
    Wait,
    /// The body.
    Body,
    /// Nothing.
    End,
}

impl After {
    fn of<B: Body, E>(polled: &Poll<Result<Response<B>, E>>, ends_with_head: bool) -> Self {
        match polled {
            Poll::Pending => Self::Wait,
            Poll::Ready(Ok(response)) if !ends_with_head && has_body(response) => Self::Body,
            Poll::Ready(_) => Self::End,
        }
    }

    fn leave(self) -> Leave {
        match self {
            Self::Wait => Leave::Waiting,
            Self::Body => Leave::Peer,
            Self::End => Leave::Ready,
        }
    }
}

/// Whether the server will read the body, and the body is a part of the request's own work: not the messages of an
/// upgraded connection, and not a stream of events, which lasts as long as the client likes.
fn has_body<B: Body>(response: &Response<B>) -> bool {
    let is_empty = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !(response.status().is_informational() || is_empty || is_event_stream(response) || response.body().is_end_stream())
}

fn is_event_stream<B>(response: &Response<B>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| starts_with(value.as_bytes(), b"text/event-stream"))
}

/// A request without a route was admitted under its method alone; how it went tells a little more.
fn describe<B, E>(scope: &Scope, result: &Result<Response<B>, E>) {
    scope.describe(|method| match result {
        Ok(response) => format!("{method} {}xx", response.status().as_u16() / 100),
        Err(_) => format!("{method} error"),
    });
}
