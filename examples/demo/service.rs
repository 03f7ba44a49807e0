//! The shop: a few endpoints that spend their time in different ways. Nothing in them knows that they are traced: no frame,
//! no span, no explicit call.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use flame_on::FlameOn;
use futures::StreamExt as _;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A running shop.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    prices: ActorRef<Price>,
}

/// Starts the shop on a free port of the loopback interface.
pub(crate) async fn start(flame_on: &FlameOn) -> anyhow::Result<Shop> {
    let (prices, _) = Actor::spawn(None, PriceActor, ()).await?;
    let app = Router::new()
        .route("/orders/{id}", get(show_order))
        .route("/search", get(search))
        .route("/report", get(report))
        .route("/export", get(export))
        .route("/health", get(|| async { "ok" }))
        // The one line that traces the service.
        .layer(flame_on.layer())
        .with_state(prices.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async {
                // `Err`: the shop was dropped, which stops it too.
                stopped.await.ok();
            })
            .await
    });
    Ok(Shop { address, stop, server, prices })
}

impl Shop {
    /// Stops the server and its actor.
    pub(crate) async fn stop(self) {
        self.stop.send(()).ok();
        self.server.await.ok();
        self.prices.stop(None);
    }
}

/// What the actor that knows the prices is asked.
pub(crate) enum Price {
    Of(u64, RpcReplyPort<u64>),
}

// Only where ractor is built with its `cluster` feature: elsewhere every type is a message.
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Price {}

struct PriceActor;

impl Actor for PriceActor {
    type Msg = Price;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Price>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Price>, message: Price, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let Price::Of(sku, reply) = message;
        sleep(Duration::from_millis(25)).await;
        // `Err`: the caller has given up.
        reply.send(100 + sku % 7).ok();
        Ok(())
    }
}

/// Several awaits, one after the other, and a call to an actor.
async fn show_order(State(prices): State<ActorRef<Price>>, Path(id): Path<u64>) -> Response {
    check_session().await;
    let order = load_order(id).await;
    match price_of(&prices, order.sku).await {
        Some(price) => render_order(&order, price).into_response(),
        None => axum::http::StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn price_of(prices: &ActorRef<Price>, sku: u64) -> Option<u64> {
    let answer = prices.call(|reply| Price::Of(sku, reply), Some(Duration::from_secs(1))).await.ok()?;
    match answer {
        CallResult::Success(price) => Some(price),
        CallResult::Timeout | CallResult::SenderError => None,
    }
}

struct Order {
    id: u64,
    sku: u64,
}

async fn check_session() {
    sleep(Duration::from_millis(4)).await;
}

async fn load_order(id: u64) -> Order {
    let rows = query("select sku from orders").await;
    Order { id, sku: id * 31 + rows }
}

/// As long as a database would take.
async fn query(_statement: &str) -> u64 {
    sleep(Duration::from_millis(12)).await;
    1
}

fn render_order(order: &Order, price: u64) -> String {
    let lines = (0..40).map(|line| format!("{line}: order {} costs {price}\n", order.id));
    burn(Duration::from_millis(3));
    lines.collect()
}

/// Three awaits at once: the sleep belongs to what encloses them.
async fn search() -> String {
    let (stock, reviews, ads) = tokio::join!(find_stock(), find_reviews(), find_ads(),);
    format!("{stock} {reviews} {ads}")
}

async fn find_stock() -> &'static str {
    backend("stock", 30).await
}

async fn find_reviews() -> &'static str {
    backend("reviews", 18).await
}

async fn find_ads() -> &'static str {
    backend("ads", 9).await
}

async fn backend(name: &'static str, millis: u64) -> &'static str {
    sleep(Duration::from_millis(millis)).await;
    burn(Duration::from_millis(2));
    name
}

/// Work on the CPU, in functions of different weight.
async fn report() -> String {
    sum_up();
    draw_chart();
    "done".into()
}

fn sum_up() {
    burn(Duration::from_millis(20));
}

fn draw_chart() {
    burn(Duration::from_millis(5));
    compress();
}

fn compress() {
    burn(Duration::from_millis(10));
}

/// A body in pieces, for a client that takes its time.
async fn export() -> Response {
    let rows = futures::stream::iter(0..8_u32).then(|row| async move {
        sleep(Duration::from_millis(5)).await;
        Ok::<_, std::io::Error>(write_rows(row))
    });
    Body::from_stream(rows).into_response()
}

fn write_rows(row: u32) -> String {
    format!("{row};").repeat(1 << 20)
}

/// Keeps a core busy.
fn burn(time: Duration) {
    let start = std::time::Instant::now();
    let mut value = 1_u64;
    while start.elapsed() < time {
        value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
