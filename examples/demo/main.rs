//! A small web shop, traced: real HTTP in, real gRPC out, and a page with its flame graphs.
//!
//! ```text
//! client ──HTTP──► axum service with flame_on.layer() ──gRPC──► viewer ──HTTP──► your browser
//! ```
//! All of them run in this process. `cargo run --example demo` goes on until Ctrl-C; `-- --once` ends by itself.
#![allow(clippy::print_stdout, reason = "a demo talks to its user")]

mod client;
mod service;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use flame_on::{Config, FlameOn, UnitSettings};
use flame_on_viewer::{Options, StartError, Viewer};

/// The demo's threshold: its slow endpoints take some 30 to 300 ms, its fast one well below 1 ms.
const THRESHOLD: Duration = Duration::from_millis(15);
/// The pause between two rounds of requests, once the summary is printed.
const PAUSE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let is_once = std::env::args().skip(1).any(|argument| argument == "--once");
    let viewer = start_viewer(is_once).await?;
    let config = Config::builder()
        .service("demo-shop")
        .release(env!("CARGO_PKG_VERSION"))
        .server_url(viewer.grpc_address().to_string())
        .use_ssl(false)
        .capture(true)
        .sample_rate(1.0)
        // A demo is looked at: every slow request, and not one of an endpoint a minute.
        .dedupe_enabled(false)
        // As often on every machine: its requests are short.
        .cpu_sample_hz(997)
        .flush_interval(Duration::from_secs(1))
        .event("axum.request", UnitSettings::new().threshold(THRESHOLD))
        .build()?;
    let flame_on = FlameOn::start(config)?;
    let shop = service::start(&flame_on).await?;
    println!("Flame graphs:  http://{}   (they appear as they arrive)", viewer.http_address());
    println!("gRPC:          {}   (your own service can ship here as well)", viewer.grpc_address());
    println!("The shop is on http://{}; its client sends {} requests.\n", shop.address, client::REQUESTS);

    client::drive(shop.address).await?;
    let report = flame_on.flush(Duration::from_secs(30)).await;
    anyhow::ensure!(report.within_deadline, "the traces were not shipped in time: {:?}", flame_on.stats());
    summary::print(&viewer, &flame_on.stats()).await?;

    if !is_once {
        println!("\nLook at http://{}; requests go on until Ctrl-C.", viewer.http_address());
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            failed = drive_on(shop.address) => failed?,
        }
    }
    shop.stop().await;
    flame_on.shutdown(Duration::from_secs(5)).await;
    viewer.stop().await;
    Ok(())
}

/// On the viewer's usual port; on any when that one is taken, or when nobody will look.
async fn start_viewer(is_once: bool) -> Result<Viewer, StartError> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = Options { grpc: free, ..Options::default() };
    let on_any = Options { http: free, ..options.clone() };
    if is_once {
        return Viewer::start(on_any).await;
    }
    match Viewer::start(options).await {
        Err(StartError::Listen { .. }) => Viewer::start(on_any).await,
        started => started,
    }
}

async fn drive_on(shop: SocketAddr) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(PAUSE).await;
        client::drive(shop).await?;
    }
}
