//! What the tests of the layer share: services, bodies, and looks at a trace.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flame_on::Trace;
use flame_on::testing::TestAgent;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;

/// Long enough to be seen beside what a busy machine adds: the filter leaves out what is below 1 % of a trace.
pub(crate) const A_WHILE: Duration = Duration::from_millis(5);

pub(crate) fn work() {
    std::thread::sleep(A_WHILE);
}

pub(crate) fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

pub(crate) fn grpc(path: &str) -> Request<Empty<Bytes>> {
    Request::post(path).header("content-type", "application/grpc+proto").body(Empty::new()).unwrap()
}

pub(crate) type Answer = Result<Response<Script>, Infallible>;

/// A 200 with this body.
pub(crate) fn ok(body: Script) -> Answer {
    Ok(Response::new(body))
}

/// What a [`Script`] does at a poll.
#[derive(Debug)]
pub(crate) enum Step {
    Data(&'static str),
    /// Works in a frame `render` before it gives data.
    Render(&'static str),
    /// Is pending once, and wakes its task at once.
    Pending,
    Fail,
    Panic,
    NotTraced,
}

/// A body that does one step at each poll.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    /// `is_end_stream` says the truth, not just false.
    knows_its_end: bool,
    hint: SizeHint,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// A body that says that it is empty.
    pub(crate) fn empty() -> Self {
        Self { knows_its_end: true, ..Self::default() }
    }

    pub(crate) fn knowing_its_end(mut self) -> Self {
        self.knows_its_end = true;
        self
    }

    pub(crate) fn with_hint(mut self, bytes: u64) -> Self {
        self.hint = SizeHint::with_exact(bytes);
        self
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) u8);

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let data = |text: &'static str| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))));
        match self.steps.pop_front() {
            Some(Step::Data(text)) => data(text),
            Some(Step::Render(text)) => {
                flame_on::in_frame("render", work);
                data(text)
            }
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Fail) => Poll::Ready(Some(Err(Broken(7)))),
            Some(Step::Panic) => panic!("in the body"),
            Some(Step::NotTraced) => {
                assert_eq!(flame_on::current_trace_id(), None);
                data("x")
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

pub(crate) fn agent() -> TestAgent {
    TestAgent::start().unwrap()
}

/// The one trace of this agent so far.
pub(crate) async fn only(agent: &TestAgent) -> Trace {
    let mut traces = all(agent).await;
    assert_eq!(traces.len(), 1, "{traces:?} {:?}", agent.stats());
    traces.remove(0)
}

/// All traces that have ended, each of which must account for all of its time.
pub(crate) async fn all(agent: &TestAgent) -> Vec<Trace> {
    let traces = agent.traces().await;
    for trace in &traces {
        let sum: Duration = trace.paths().map(|(_, own)| own).sum();
        assert_eq!(sum, trace.duration(), "{trace:?}");
    }
    assert_eq!(agent.active_traces(), 0, "{:?}", agent.stats());
    traces
}

/// The identifiers of all traces, sorted: they are finished side by side.
pub(crate) async fn identifiers(agent: &TestAgent) -> Vec<String> {
    let mut identifiers: Vec<_> = all(agent).await.iter().map(|trace| trace.identifier().to_owned()).collect();
    identifiers.sort();
    identifiers
}

/// The own time of the paths that end in this frame.
pub(crate) fn own(trace: &Trace, leaf: &str) -> Duration {
    trace.paths().filter(|(path, _)| path.rsplit(';').next() == Some(leaf)).map(|(_, own)| own).sum()
}

/// The root's own time.
pub(crate) fn own_of_root(trace: &Trace) -> Duration {
    trace.paths().filter(|(path, _)| !path.contains(';')).map(|(_, own)| own).sum()
}

/// How many traces ended in each way: done, cancelled, panicked.
pub(crate) fn ends(agent: &TestAgent) -> (u64, u64, u64) {
    let stats = agent.stats();
    (stats.done, stats.cancelled, stats.panicked)
}
