//! SIGTERM is the host's: it stops its own work first, then gives the agent a part of the time that is left.
//!
//! An orchestrator sends SIGTERM and, 30 s later, SIGKILL. What cannot be sent in time goes to `spool_dir` and is sent
//! by the next process. Windows tells the same by a shutdown event, and a terminal by
//! Ctrl-C.
use std::time::Duration;

use flame_on::{Config, FlameOn};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let spool = std::env::temp_dir().join("flame-on-spool");
    let config = Config::builder().service("shop").capture(true).spool_dir(spool).build()?;
    let flame_on = FlameOn::start(config)?;
    // Before the work begins, or an early signal ends the process at once.
    let terminated = terminated()?;

    tokio::select! {
        () = terminated => tracing::info!("asked to end"),
        () = serve(&flame_on) => {}
    }
    let report = flame_on.shutdown(Duration::from_secs(5)).await;
    tracing::info!(shipped = report.shipped, lost = report.lost, in_time = report.within_deadline, "FlameOn stopped");
    Ok(())
}

/// Listens from now on.
#[cfg(unix)]
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut asked = signal(SignalKind::terminate())?;
    Ok(async move { asked.recv().await.unwrap_or(()) })
}

/// Listens from now on.
#[cfg(windows)]
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_c, ctrl_shutdown};

    let (mut interrupted, mut shut_down) = (ctrl_c()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = shut_down.recv() => {}
        }
    })
}

/// Stands for the service; with axum it would be `with_graceful_shutdown`.
async fn serve(flame_on: &FlameOn) {
    for job in 0..3 {
        flame_on.unit("shop.job", || format!("job {job}")).run(tokio::time::sleep(Duration::from_millis(120))).await;
    }
}
