//! The layer in a real server: axum on hyper, over loopback.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Sse};
use axum::routing::get;
use flame_on::testing::TestAgent;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::support::{all, identifiers, own};

async fn rows() -> impl IntoResponse {
    let rows = futures::stream::iter(0..100).then(|row| async move {
        tokio::task::yield_now().await;
        Ok::<_, std::io::Error>(format!("{row}\n"))
    });
    Body::from_stream(rows)
}

async fn broken() -> impl IntoResponse {
    let rows = futures::stream::iter([Ok("a"), Err(std::io::Error::other("disk"))]);
    Body::from_stream(rows)
}

async fn events() -> impl IntoResponse {
    Sse::new(futures::stream::pending::<Result<axum::response::sse::Event, std::convert::Infallible>>())
}

fn app(agent: &TestAgent) -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { "user" }).post(|body: String| async { body }))
        .route("/rows", get(rows))
        .route("/broken", get(broken))
        .route("/events", get(events))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .layer(agent.layer())
}

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn serve(app: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    Server { address, stop, task: tokio::spawn(server.into_future()) }
}

#[tokio::test]
async fn requests_over_a_connection_are_traced_one_by_one() {
    let agent = TestAgent::start().unwrap();
    let server = serve(app(&agent)).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let mut statuses = Vec::new();
    for (method, path) in [
        ("GET", "/users/1?q=secret"),
        ("POST", "/users/2"),
        ("HEAD", "/users/3"),
        ("GET", "/rows"),
        ("GET", "/nothing"),
        ("DELETE", "/users/4"),
        ("GET", "/broken"),
    ] {
        let uri = format!("http://{}{path}", server.address);
        let request = http::Request::builder().method(method).uri(uri).body(Empty::new()).unwrap();
        let outcome = match client.request(request).await {
            Ok(response) => {
                statuses.push(response.status().as_u16());
                response.into_body().collect().await.map_err(|error| error.to_string()).map(drop)
            }
            // The head may not have left when the connection is cut.
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(outcome.is_err(), path == "/broken", "{path}: {outcome:?}");
    }
    assert_eq!(statuses[..6], [200, 200, 200, 200, 204, 405]);
    drop(client);
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();

    let expected = [
        "DELETE /users/{id}",
        "GET /broken",
        "GET /nothing",
        "GET /rows",
        "GET /users/{id}",
        "HEAD /users/{id}",
        "POST /users/{id}",
    ];
    assert_eq!(identifiers(&agent).await, expected);
    let stats = agent.stats();
    assert_eq!((stats.done, stats.cancelled, stats.panicked), (7, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_and_an_event_stream_has_ended_long_before() {
    let agent = TestAgent::start().unwrap();
    let endless = Router::new()
        .route(
            "/endless",
            get(|| async {
                let chunk = bytes::Bytes::from_static(&[0; 65_536]);
                Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone())))
            }),
        )
        .layer(agent.layer());
    let server = serve(app(&agent).merge(endless)).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let open =
        async |path: &str| client.get(format!("http://{}{path}", server.address).parse().unwrap()).await.unwrap();

    let stream = open("/events").await;
    let events = all(&agent).await;
    assert_eq!((events.len(), events[0].identifier()), (1, "GET /events"));
    drop(stream);

    let mut response = open("/endless").await;
    response.frame().await.unwrap().unwrap();
    assert_eq!(agent.active_traces(), 1);
    // The client reads nothing for a while: hyper's and the kernel's buffers fill up.
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(response);
    drop(client);
    while agent.stats().cancelled == 0 {
        tokio::task::yield_now().await;
    }
    let traces = all(&agent).await;
    assert_eq!((traces.len(), traces[0].identifier()), (1, "GET /endless"));
    assert!(own(&traces[0], "PEER") >= Duration::from_millis(20), "{}", traces[0].collapsed());
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
}
