//! A worker: apalis 1.0 through the generic layer, and a hand-written loop.
use std::time::Duration;

use apalis_core::backend::TaskSink as _;
use apalis_core::backend::memory::MemoryStorage;
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use flame_on::{Config, FlameOn};

async fn send_email(job: u32, worker: WorkerContext) -> Result<(), std::io::Error> {
    // A child task: its time is not in the parent's flame graph, only the waiting for it is.
    let child = tokio::spawn(async move { job + 1 });
    child.await.ok();
    worker.stop().ok();
    Ok(())
}

async fn queue_loop(flame_on: FlameOn, jobs: Vec<(&'static str, u64)>) {
    for (kind, id) in jobs {
        let scope = flame_on.unit("shop.job", || kind);
        // Owned, so it can be spawned; and a scope is `Send`.
        let done = tokio::spawn(scope.run(async move {
            if let Err(error) = resize(id).await {
                tracing::error!(%error, id, "not resized");
            }
        }));
        done.await.ok();
    }
}

async fn resize(_id: u64) -> Result<(), std::io::Error> {
    tokio::task::yield_now().await;
    Err(std::io::Error::other("disk"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let flame_on = FlameOn::start(Config::builder().service("mailer").capture(true).sample_rate(1.0).build()?)?;
    let mut storage = MemoryStorage::new();
    storage.push(24_u32).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let worker = WorkerBuilder::new("mail")
        .backend(storage)
        .layer(flame_on.unit_layer("apalis.job", |_: &Task<u32>| "send_email"))
        .build(send_email);
    worker.run().await?;
    queue_loop(flame_on.handle(), vec![("resize", 1)]).await;
    flame_on.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
