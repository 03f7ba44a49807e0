//! The shop's customers: real HTTP requests over loopback.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Which pages are asked for, how often, and how long the client takes for each [`PIECE`] of the answer.
const PLAN: [(&str, usize, Duration); 5] = [
    ("/orders/7", 3, Duration::ZERO),
    ("/search", 3, Duration::ZERO),
    ("/report", 2, Duration::ZERO),
    ("/export", 1, Duration::from_millis(20)),
    ("/health", 50, Duration::ZERO),
];

/// Bytes that a slow client reads at once: the loopback's buffers take a few times as many.
const PIECE: usize = 1 << 20;

/// How many requests [`drive`] sends.
pub(crate) const REQUESTS: usize = {
    let mut sum = 0;
    let mut page = 0;
    while page < PLAN.len() {
        sum += PLAN[page].1;
        page += 1;
    }
    sum
};

/// Sends the requests, one after the other, and reads each answer to its end.
pub(crate) async fn drive(address: SocketAddr) -> anyhow::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for (path, times, pause) in PLAN {
        for _ in 0..times {
            let response = client.get(format!("http://{address}{path}").parse()?).await?;
            anyhow::ensure!(response.status().is_success(), "{path} answered {}", response.status());
            let mut body = response.into_body();
            let mut since_pause = 0;
            while let Some(frame) = body.frame().await {
                since_pause += frame?.data_ref().map_or(0, Bytes::len);
                if since_pause >= PIECE {
                    since_pause = 0;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
    Ok(())
}
