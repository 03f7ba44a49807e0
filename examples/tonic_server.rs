//! A tonic server: the same layer as for axum. A hand-written service stands for a generated one.
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use flame_on::{Config, FlameOn};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;

#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "hello.Greeter";
}

impl tower_service::Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        Box::pin(async { Ok(http::Response::new(Body::empty())) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let flame_on = FlameOn::start(Config::builder().service("hello").capture(true).build()?)?;
    Server::builder()
        .layer(flame_on.layer())
        .add_service(Greeter)
        .serve_with_shutdown("127.0.0.1:0".parse()?, tokio::time::sleep(Duration::from_millis(20)))
        .await?;
    flame_on.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
