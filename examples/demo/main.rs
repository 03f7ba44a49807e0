//! A small web shop, traced: real HTTP in, real gRPC out, flame graphs on disk.
//!
//! ```text
//! client ──HTTP──► axum service with flame_on.layer() ──gRPC──► ingest server ──► target/flame-on-demo/*.{pb.gz,svg}
//! ```
//! All three run in this process. `cargo run --example demo` ends by itself.
#![allow(clippy::print_stdout, reason = "a demo talks to its user")]

mod client;
mod render;
mod service;

use std::path::Path;
use std::time::Duration;

use flame_on::__server::IngestServer;
use flame_on::{Config, FlameOn, UnitSettings};

/// The demo's threshold: its slow endpoints take some 30 to 300 ms, its fast one well below 1 ms.
const THRESHOLD: Duration = Duration::from_millis(15);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = IngestServer::start("127.0.0.1:0".parse()?).await?;
    let config = Config::builder()
        .service("demo-shop")
        .release(env!("CARGO_PKG_VERSION"))
        .server_url(server.address().to_string())
        .use_ssl(false)
        .api_key("demo")
        .capture(true)
        .sample_rate(1.0)
        .event("axum.request", UnitSettings::new().threshold(THRESHOLD))
        .build()?;
    let flame_on = FlameOn::start(config)?;

    let shop = service::start(&flame_on).await?;
    println!("The shop listens on http://{}; its client sends {} requests.", shop.address, client::REQUESTS);
    client::drive(shop.address).await?;
    shop.stop().await;

    let report = flame_on.flush(Duration::from_secs(10)).await;
    let stats = flame_on.stats();
    anyhow::ensure!(report.within_deadline, "the traces were not shipped in time: {stats:?}");
    flame_on.shutdown(Duration::from_secs(5)).await;

    let traces: Vec<_> = server.stop().await.into_iter().flat_map(|batch| batch.traces).collect();
    anyhow::ensure!(!traces.is_empty(), "the server has received nothing: {stats:?}");
    println!(
        "Of {} requests {} traces were shipped, {} were below {THRESHOLD:?}, {} were left out as\n         duplicates (one trace an endpoint a minute).\n",
        client::REQUESTS,
        stats.shipped,
        stats.below_threshold,
        stats.deduplicated + stats.skipped_dedupe
    );
    render::write_all(&traces, Path::new("target/flame-on-demo"))
}
