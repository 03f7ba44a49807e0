//! Actors that call each other: the calls show in the flame graph, by name and by the shape of the message.
#![allow(clippy::print_stdout, reason = "an example")]
use std::collections::HashMap;
use std::time::Duration;

use flame_on::ractor::ractor; // The same as your own dependency on ractor.
use flame_on::{Config, FlameOn, FrameExt};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use serde::Serialize;

#[derive(Serialize, Clone)]
struct Options {
    timeout: u64,
}
struct NotSerialize;

enum Db {
    Query(String, Options, RpcReplyPort<u64>),
    Raw(NotSerialize, RpcReplyPort<u64>),
}
// Only where ractor is built with its `cluster` feature: elsewhere every type is a message.
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Db {}
struct DbActor;
impl Actor for DbActor {
    type Msg = Db;
    type State = ();
    type Arguments = ();
    async fn pre_start(&self, _: ActorRef<Db>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
    async fn handle(&self, _: ActorRef<Db>, msg: Db, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match msg {
            Db::Query(sql, o, reply) => reply.send(sql.len() as u64 + o.timeout)?,
            Db::Raw(_, reply) => reply.send(1)?,
        }
        Ok(())
    }
}

enum Price {
    Of(u64, RpcReplyPort<u64>),
}
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Price {}
struct PriceActor {
    flame_on: FlameOn,
}
impl Actor for PriceActor {
    type Msg = Price;
    type State = ActorRef<Db>;
    type Arguments = ActorRef<Db>;
    async fn pre_start(&self, _: ActorRef<Price>, db: ActorRef<Db>) -> Result<ActorRef<Db>, ActorProcessingErr> {
        Ok(db)
    }
    async fn handle(&self, _: ActorRef<Price>, msg: Price, db: &mut ActorRef<Db>) -> Result<(), ActorProcessingErr> {
        // An actor's own message is a unit of work too.
        let scope = self.flame_on.unit("price.message", || "Price::Of");
        scope
            .run(async {
                let Price::Of(sku, reply) = msg;
                let limit = Duration::from_millis(500);
                let opts = Options { timeout: 5 };
                let a = flame_on::call!(db, Db::Query, limit, format!("select {sku}"), opts.clone()).await?;
                let b = flame_on::call!(db, Db::Raw, limit, NotSerialize).await?;
                let c = flame_on::call(db, |reply| Db::Raw(NotSerialize, reply), limit).await?;
                let d = flame_on::call_labelled(
                    db,
                    &("query", "...", HashMap::from([("timeout", 5)])),
                    |reply| Db::Query("x".into(), opts, reply),
                    limit,
                )
                .await?;
                reply.send(a + b + c + d)?;
                Ok(())
            })
            .in_frame("price::handle")
            .await
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let flame_on =
        FlameOn::start(Config::builder().ignore_env().capture(true).sample_rate(1.0).local_dir(dir.path()).build()?)?;
    let (db, db_done) = Actor::spawn(Some("app.db".into()), DbActor, ()).await?;
    let (price, price_done) = Actor::spawn(None, PriceActor { flame_on: flame_on.handle() }, db.clone()).await?;
    // `CallError` is `Send + Sync + 'static` and has no message in it, so `?` goes into anyhow.
    let n = flame_on
        .unit("shop.quote", || "quote")
        .run(async { flame_on::call!(price, Price::Of, Duration::from_secs(1), 7).await })
        .await?;
    // Any future: `postgres` stands for sqlx. The result is 'static, so it can be joined or spawned.
    let sql = String::from("select 1");
    let row = tokio::spawn(flame_on::call_named("postgres", &("query", &sql), async { 1u64 })).await?;
    println!("{n} {row}");
    println!("{:?}", flame_on.shutdown(Duration::from_secs(5)).await);
    price.stop(None);
    db.stop(None);
    price_done.await?;
    db_done.await?;
    Ok(())
}
