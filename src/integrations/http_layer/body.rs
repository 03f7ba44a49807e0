//! The body phase: from the response's head to the end of its body.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Scope;
use crate::capture::recorder::Leave;
use crate::errors::reporter::Reporter;

type FrameOf<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

pin_project! {
    /// The body of a traced response; passes everything through. 24 bytes larger than the inner body.
    ///
    /// The trace ends when the body does: at its end, at an error, or after the frame with which `is_end_stream`
    /// turns true. Dropping it before that ends the trace as cancelled.
    #[derive(Debug)]
    pub struct TracedBody<B> {
        // Before `scope`: the body is dropped first, and its drop is a part of the trace's time.
        #[pin]
        body: B,
        scope: Scope,
        reporter: Reporter,
    }
}

impl<B> TracedBody<B> {
    pub(super) fn new(body: B, scope: Scope, reporter: Reporter) -> Self {
        Self { body, scope, reporter }
    }
}

/// A body that is not traced, for layers around this one that make empty responses.
impl<B: Default> Default for TracedBody<B> {
    fn default() -> Self {
        Self::new(B::default(), Scope::none(), Reporter::default())
    }
}

impl<B: Body> Body for TracedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FrameOf<B>>> {
        let this = self.project();
        let (mut body, scope, reporter) = (this.body, this.scope, this.reporter);
        if !scope.is_sampled() {
            return reporter.inside(|| body.poll_frame(cx));
        }
        let (polled, _) = scope.poll_leaving(
            cx,
            |cx| {
                let polled = reporter.inside(|| body.as_mut().poll_frame(cx));
                // In here, because `is_end_stream` is the body's own code.
                let leave = leave(&polled, &body);
                (polled, leave)
            },
            |(_, leave)| *leave,
        );
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How a poll of `body` ended; `None` when nothing more is to come.
fn leave<B: Body>(polled: &Poll<Option<FrameOf<B>>>, body: &B) -> Option<Leave> {
    match polled {
        Poll::Pending => Some(Leave::Waiting),
        Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => Some(Leave::Peer),
        Poll::Ready(_) => None,
    }
}
