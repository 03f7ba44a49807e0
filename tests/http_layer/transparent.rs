//! What the layer must not change about a service, and what it must not ask of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use flame_on::{FlameOnLayer, ResponseFuture, TracedBody};
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::support::{Answer, Script, Step, agent, get, ok, only};

#[tokio::test]
async fn size_hint_and_is_end_stream_are_the_bodys() {
    let agent = agent();
    let service =
        service_fn(|_: Request<_>| async { ok(Script::new([Step::Data("ab")]).knowing_its_end().with_hint(2)) });
    let mut response = agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(2));
    assert!(!response.body().is_end_stream());
    response.frame().await.unwrap().unwrap();
    assert!(response.body().is_end_stream());
    only(&agent).await;
}

#[tokio::test]
async fn head_data_and_trailers_pass_unchanged() {
    let agent = agent();
    let service = service_fn(|_: Request<_>| async {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let body = http_body_util::Full::new(bytes::Bytes::from("data")).with_trailers(async { Some(Ok(trailers)) });
        let head = Response::builder().status(418).header("x-own", "1").extension(7_u8);
        Ok::<_, std::convert::Infallible>(head.body(body).unwrap())
    });
    let response = agent.layer().layer(service).oneshot(get("/x")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-own"]), (418, &"1".parse().unwrap()));
    assert_eq!(response.extensions().get::<u8>(), Some(&7));
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), "data");
    assert_eq!(only(&agent).await.identifier(), "GET 4xx");
}

#[tokio::test]
async fn neither_request_nor_service_needs_to_be_send_sync_clone_or_static() {
    struct NotClone<'a>(&'a Cell<u32>);
    impl<'a> tower::Service<Request<Rc<str>>> for NotClone<'a> {
        type Response = Response<Script>;
        type Error = std::convert::Infallible;
        type Future = std::pin::Pin<Box<dyn Future<Output = Answer> + 'a>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: Request<Rc<str>>) -> Self::Future {
            let calls = self.0;
            Box::pin(async move {
                tokio::task::yield_now().await;
                calls.set(calls.get() + u32::try_from(request.body().len()).unwrap());
                ok(Script::empty())
            })
        }
    }
    let agent = agent();
    let (calls, layer) = (Cell::new(0), agent.layer());
    let mut service = layer.layer(NotClone(&calls));
    service.ready().await.unwrap().call(Request::new("abc".into())).await.unwrap();
    assert_eq!(calls.get(), 3);
    only(&agent).await;
}

#[tokio::test]
async fn a_request_that_is_not_sync_can_be_spawned() {
    let agent = agent();
    let service = service_fn(|request: Request<RefCell<u8>>| async move {
        tokio::task::yield_now().await;
        request.body().replace(1);
        ok(Script::empty())
    });
    let request = agent.layer().layer(service).oneshot(Request::new(RefCell::new(0)));
    tokio::spawn(request).await.unwrap().unwrap();
    only(&agent).await;
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let agent = agent();
    let busy = tower::limit::ConcurrencyLimit::new(service_fn(|_: Request<_>| std::future::pending::<Answer>()), 1);
    let mut service = agent.layer().layer(busy);
    let _held = service.ready().await.unwrap().call(get("/x"));
    assert!(futures::poll!(service.ready()).is_pending());
}

#[test]
fn the_layers_types_are_as_small_and_as_free_as_the_inner_ones() {
    fn all<T: Send + Sync + Clone + 'static>() {}
    fn send<T: Send>() {}
    all::<FlameOnLayer>();
    all::<flame_on::FlameOnService<tower::util::BoxCloneSyncService<(), (), ()>>>();
    send::<ResponseFuture<std::future::Pending<Answer>>>();
    send::<TracedBody<Script>>();
    assert_eq!(size_of::<FlameOnLayer>(), size_of::<usize>());
    assert_eq!(size_of::<ResponseFuture<[u64; 4]>>() - size_of::<[u64; 4]>(), 32);
    assert_eq!(size_of::<TracedBody<[u64; 4]>>() - size_of::<[u64; 4]>(), 24);
}

#[test]
fn a_default_body_is_not_traced() {
    assert!(TracedBody::<http_body_util::Full<bytes::Bytes>>::default().is_end_stream());
}
