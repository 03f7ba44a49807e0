//! Own adapters with plain `async fn`, chosen at run time; an own shipper actor.
#![allow(clippy::print_stdout, reason = "an example")]
use std::path::PathBuf;
use std::time::Duration;

use flame_on::ractor::ActorShipper;
use flame_on::ractor::ractor;
use flame_on::{BoxedAdapter, Config, FlameOn, ShipContext, ShipError, ShipperAdapter, TraceBatch};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

struct ToFolder {
    dir: PathBuf,
}
impl ShipperAdapter<TraceBatch> for ToFolder {
    async fn ship(&self, batch: &TraceBatch, context: &ShipContext) -> Result<(), ShipError> {
        for trace in batch.traces() {
            let file = self.dir.join(format!("{}-{}.pb.gz", context.service, trace.id()));
            tokio::fs::write(file, trace.pprof_gz()).await.map_err(ShipError::retryable)?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct ToWebhook {
    url: String,
}
impl<B: Send + Sync + 'static> ShipperAdapter<B> for ToWebhook {
    async fn ship(&self, _batch: &B, context: &ShipContext) -> Result<(), ShipError> {
        if self.url.is_empty() {
            return Err(ShipError::permanent("no url"));
        }
        tokio::time::timeout(context.time_left, tokio::task::yield_now()).await.map_err(ShipError::retryable)?;
        Err(ShipError::retryable("503").retry_after(Duration::from_secs(30)))
    }
}

fn chosen(name: &str, dir: PathBuf) -> BoxedAdapter<TraceBatch> {
    match name {
        "folder" => BoxedAdapter::new(ToFolder { dir }),
        _ => BoxedAdapter::new(ToWebhook { url: name.into() }),
    }
}

// The user's own actor with the user's own messages; ours is only one variant of them.
enum Uploader {
    Ship(TraceBatch, RpcReplyPort<Result<(), ShipError>>),
    #[allow(dead_code)]
    Pause,
}
// Only where ractor is built with its `cluster` feature: elsewhere every type is a message.
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Uploader {}
struct UploaderActor;
impl Actor for UploaderActor {
    type Msg = Uploader;
    type State = u64;
    type Arguments = ();
    async fn pre_start(&self, _: ActorRef<Uploader>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }
    async fn handle(&self, _: ActorRef<Uploader>, msg: Uploader, sent: &mut u64) -> Result<(), ActorProcessingErr> {
        match msg {
            Uploader::Ship(batch, reply) => {
                *sent += batch.traces().len() as u64;
                reply.send(Ok(()))?;
            }
            Uploader::Pause => {}
        }
        Ok(())
    }
}

/// Longer than a unit's ordinary threshold of 100 ms, so that it is shipped.
fn work(flame_on: &FlameOn) {
    flame_on.unit("shop.batch", || "nightly").in_scope(|| std::thread::sleep(Duration::from_millis(110)));
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for name in ["folder", "https://hook"] {
        let shipper = chosen(name, dir.path().to_owned());
        let config = Config::builder().ignore_env().capture(true).sample_rate(1.0).shipper(shipper).build()?;
        let flame_on = FlameOn::start(config)?;
        work(&flame_on);
        println!("{name}: {:?}", flame_on.shutdown(Duration::from_secs(5)).await);
    }

    let (actor, done) = Actor::spawn(None, UploaderActor, ()).await?;
    let shipper = ActorShipper::new(actor.clone(), Duration::from_secs(5), Uploader::Ship);
    let second =
        FlameOn::start(Config::builder().ignore_env().shipper(shipper).capture(true).sample_rate(1.0).build()?)?;
    work(&second);
    println!("actor: {:?}", second.shutdown(Duration::from_secs(5)).await);
    actor.stop(None);
    done.await?;
    Ok(())
}
