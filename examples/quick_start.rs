//! The few lines that trace an axum service. Ask it for `/`, then press Ctrl-C; slow requests are in `flame-on/`.

use std::time::Duration;

use axum::{Router, routing::get};
use flame_on::{Config, FlameOn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flame_on = FlameOn::start(Config::builder().service("hello").capture(true).sample_rate(1.0).build()?)?;

    let slow = || async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        "hello"
    };
    let app = Router::new().route("/", get(slow)).layer(flame_on.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;

    flame_on.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
