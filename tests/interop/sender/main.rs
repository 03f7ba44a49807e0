//! Does known work under a real agent and says on standard output, as JSON, what it did and how long it took by its
//! own watch. Its agent is set up by the environment alone, as an operator would do it.
//!
//! Ends with 0 when everything was shipped, with 3 when something was lost.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod clock;
mod errors;
mod watch;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use flame_on::{Config, FlameOn, UnitSettings};
use serde::Serialize;

use crate::watch::Done;

/// Says how many seconds the end may take: many where all is to arrive, few where that is waited for in vain.
const LIMIT: &str = "INTEROP_LIMIT";
const LOST: u8 = 3;

#[derive(Serialize)]
struct Report {
    traces: Vec<Done>,
    shipped: u64,
    lost: u64,
    /// With `FLAME_ON_CAPTURE_ERRORS`: the ids of the captured errors.
    error_ids: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let everything = || UnitSettings::new().threshold(Duration::ZERO);
    let limit = std::env::var(LIMIT).ok().and_then(|seconds| seconds.parse().ok());
    let limit = Duration::from_secs(limit.with_context(|| format!("{LIMIT} is to be a number of seconds"))?);
    let config = Config::builder()
        .capture(true)
        // Frames by hand alone: what is sent is compared with what is received, frame by frame.
        .native_capture(flame_on::NativeCapture::Off)
        .sample_rate(1.0)
        .event(work::ORDER, everything())
        .event(work::IMPORT, everything())
        .build()?;
    let agent = FlameOn::start(config)?;
    let traces = work::do_all(&agent).await?;
    let error_ids = if agent.config().capture_errors() { errors::capture_all(&agent).await } else { Vec::new() };

    let handle = agent.handle();
    agent.shutdown(limit).await;
    let stats = handle.stats();
    let report = Report { traces, shipped: stats.shipped, lost: stats.lost(), error_ids };
    println!("{}", serde_json::to_string(&report)?);
    let has_all_errors = stats.error_queue.sent == stats.errors_captured;
    let is_all_shipped = report.shipped >= report.traces.len() as u64 && report.lost == 0 && has_all_errors;
    Ok(if is_all_shipped { ExitCode::SUCCESS } else { LOST.into() })
}
