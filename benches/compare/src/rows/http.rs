//! A request that is not sampled, through the HTTP layer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer as _, Service};

use super::admission::seen;
use crate::harness::{Case, measure};
use crate::table::{Row, Unit};
use crate::{agents, allocations};

/// A body of one frame, which allocates nothing.
pub struct OneFrame(Option<&'static [u8]>);

impl Body for OneFrame {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

fn show_user(request: Request<()>) -> Ready<Result<Response<OneFrame>, Infallible>> {
    black_box(request);
    ready(Ok(Response::new(OneFrame(Some(b"user 7")))))
}

/// One request from the call to the end of the body. The service is cloned first, as axum does.
pub fn request<S, B>(service: &S) -> usize
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = &'static [u8], Error = Infallible>,
{
    let context = &mut Context::from_waker(Waker::noop());
    let future = black_box(service.clone()).call(Request::new(()));
    let size = size_of_val(&future);
    let Poll::Ready(Ok(response)) = pin!(future).poll(context) else { panic!("it never waits") };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(context) {
        black_box(frame.into_data().ok());
    }
    size
}

/// The service by itself.
pub fn bare_service() -> impl Service<Request<()>, Response = Response<OneFrame>, Error = Infallible> + Clone {
    tower::service_fn(show_user)
}

fn allocations_of(operation: impl FnOnce()) -> u64 {
    let before = allocations::count();
    operation();
    allocations::count() - before
}

pub fn print() {
    let agent = agents::start(1e-9);
    let bare = bare_service();
    let layered = agent.layer().layer(bare.clone());
    let measured = measure(
        &mut [Case::of_loop("bare", || seen(&request(&bare))), Case::of_loop("layered", || seen(&request(&layered)))],
        200_000,
    );
    let allocations = allocations_of(|| seen(&request(&layered))) - allocations_of(|| seen(&request(&bare)));
    let what = format!(
        "request through the layer, not sampled, over the bare service (future {} bytes, bare {}; {allocations} allocations)",
        request(&layered),
        request(&bare)
    );
    Row::new(what, "≤ 60 ns, 0 allocations", Unit::Nanos.show(measured.over("layered", "bare"))).print();
}
