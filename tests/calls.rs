//! Calls, as they show in the flame graph of their caller.
#![allow(clippy::unwrap_used, clippy::panic, clippy::async_yields_async, reason = "tests")]

use std::collections::HashMap;
use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{CallError, FlameOn, FrameExt, Trace, call, call_labelled, call_named};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use serde::Serialize;
use tokio::sync::oneshot;

/// What no call comes near.
const LONG: Duration = Duration::from_secs(60);
/// Time that an actor lets a caller wait; sleeps are never shorter than asked for.
const WAIT: Duration = Duration::from_millis(20);
/// `WAIT` less what two clocks may differ by.
const ALMOST: Duration = Duration::from_millis(19);

/// Waits for another task's sleep. That one begins when the caller's poll has ended, on the one thread that there is, so
/// the caller waits for all of it, however long it took until then.
async fn nap() {
    tokio::spawn(async { tokio::time::sleep(WAIT).await }).await.unwrap();
}

#[derive(Serialize, Clone)]
struct Options {
    timeout: u64,
}

/// Not `Serialize`: the actor answers when it is released.
struct Gate(oneshot::Receiver<()>);

enum Db {
    Query(String, Options, RpcReplyPort<u64>),
    Ping(RpcReplyPort<u64>),
    Nap(RpcReplyPort<u64>),
    Wait(Gate, RpcReplyPort<u64>),
    Forget(RpcReplyPort<u64>),
}
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Db {}

struct DbActor;

#[ractor::actor(message = Db, state = Vec<RpcReplyPort<u64>>)]
impl DbActor {
    async fn pre_start(&self, _: ActorRef<Db>, _args: ()) -> Result<Vec<RpcReplyPort<u64>>, ActorProcessingErr> {
        Ok(Vec::new())
    }

    async fn handle(
        &self,
        _: ActorRef<Db>,
        message: Db,
        kept: &mut Vec<RpcReplyPort<u64>>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Db::Query(sql, options, reply) => {
                tokio::time::sleep(WAIT).await;
                reply.send(sql.len() as u64 + options.timeout)?;
            }
            Db::Ping(reply) => reply.send(1)?,
            Db::Nap(reply) => {
                tokio::time::sleep(WAIT).await;
                reply.send(1)?;
            }
            Db::Wait(gate, reply) => {
                tokio::spawn(async move {
                    gate.0.await.unwrap();
                    reply.send(2).unwrap();
                });
            }
            Db::Forget(reply) => kept.push(reply),
        }
        Ok(())
    }
}

async fn db(name: Option<&str>) -> ActorRef<Db> {
    Actor::spawn(name.map(str::to_owned), DbActor, ()).await.unwrap().0
}

fn options() -> Options {
    Options { timeout: 5 }
}

fn only(traces: Vec<Trace>) -> Trace {
    let [trace] = <[Trace; 1]>::try_from(traces).unwrap();
    let sum: Duration = trace.paths().map(|(_, own)| own).sum();
    assert_eq!(sum, trace.duration(), "{}", trace.collapsed());
    trace
}

async fn only_trace(agent: &TestAgent) -> Trace {
    only(agent.traces().await)
}

/// Own times by path.
fn own(trace: &Trace) -> HashMap<String, Duration> {
    trace.paths().collect()
}

/// The own time of `path` below the root `test unit`.
fn time_of(trace: &Trace, path: &str) -> Duration {
    let own = own(trace);
    *own.get(&format!("test unit;{path}")).unwrap_or_else(|| panic!("no {path} in\n{}", trace.collapsed()))
}

/// Runs `work` as a traced unit and gives its trace.
async fn traced<R>(agent: &TestAgent, work: impl Future<Output = R>) -> (R, Trace) {
    let result = agent.unit("test", || "unit").run(work).await;
    (result, only_trace(agent).await)
}

#[tokio::test]
async fn every_kind_of_call_explains_its_sleep() {
    let agent = TestAgent::start().unwrap();
    let db = db(Some("calls.db")).await;
    let (tx, gate) = oneshot::channel();
    let (sum, trace) = traced(&agent, async {
        let a = flame_on::call!(db, Db::Query, LONG, String::from("select 1"), options()).in_frame("one").await?;
        let b = call(&db, |reply| Db::Query(String::new(), options(), reply), LONG).in_frame("two").await?;
        let form = ("query", "secret", HashMap::from([("secret", 5)]));
        let build = |reply| Db::Query(String::new(), options(), reply);
        let c = call_labelled(&db, &form, build, LONG).in_frame("three").await?;
        tokio::spawn(async move {
            tokio::time::sleep(WAIT).await;
            tx.send(()).unwrap();
        });
        let d = flame_on::call!(db, Db::Wait, LONG, Gate(gate)).in_frame("four").await?;
        let e = call_named("postgres", &("query", &3), async {
            nap().await;
            4
        })
        .in_frame("five")
        .await;
        Ok::<_, CallError>(a + b + c + d + e)
    })
    .await;
    assert_eq!(sum, Ok(8 + 5 + 5 + 5 + 2 + 4));
    for path in [
        r#"one;SLEEP;CALL calls.db {:query, "...", "%{...}"}"#,
        "two;SLEEP;CALL calls.db",
        r#"three;SLEEP;CALL calls.db {"...", "...", "%{...}"}"#,
        r#"five;SLEEP;CALL postgres {"...", 3}"#,
    ] {
        assert!(time_of(&trace, path) >= ALMOST, "{path}\n{}", trace.collapsed());
    }
    time_of(&trace, r#"four;SLEEP;CALL calls.db {:wait, "term"}"#);
    assert!(!trace.collapsed().contains("secret") && !trace.collapsed().contains("select"), "{}", trace.collapsed());
    assert_eq!((agent.stats().calls_routed, agent.stats().calls_dropped), (10, 0));
}

#[tokio::test]
async fn an_actor_without_a_name_is_called_by_its_message_type() {
    let agent = TestAgent::start().unwrap();
    let db = db(None).await;
    let (pong, trace) = traced(&agent, async { flame_on::call!(db, Db::Nap, LONG).await }).await;
    assert_eq!(pong, Ok(1));
    time_of(&trace, "SLEEP;CALL calls::Db :nap");
}

#[tokio::test]
async fn numbers_are_hidden_on_demand() {
    let agent = TestAgent::with(|builder| builder.label_numbers(false)).unwrap();
    let ((), trace) = traced(&agent, async { call_named("pg", &("user", 4711, -1.5), nap()).await }).await;
    time_of(&trace, r#"SLEEP;CALL pg {"...", "number", "number"}"#);
}

#[tokio::test]
async fn a_call_owns_its_part_of_the_sleep_and_the_rest_stays_sleep() {
    let agent = TestAgent::start().unwrap();
    let db = db(None).await;
    let (_, trace) = traced(&agent, async {
        nap().await;
        call(&db, |reply| Db::Query(String::new(), options(), reply), LONG).await.unwrap();
        nap().await;
    })
    .await;
    assert!(time_of(&trace, "SLEEP;CALL calls::Db") >= ALMOST);
    assert!(time_of(&trace, "SLEEP") >= 2 * ALMOST);
}

#[tokio::test]
async fn of_overlapping_calls_the_earliest_sent_owns_each_instant() {
    let agent = TestAgent::start().unwrap();
    let (first, second) = (db(Some("calls.first")).await, db(Some("calls.second")).await);
    let ((open_first, gate_1), (open_second, gate_2)) = (oneshot::channel(), oneshot::channel());
    let (answered, is_answered) = oneshot::channel();
    let (_, trace) = traced(&agent, async {
        tokio::spawn(async move {
            tokio::time::sleep(WAIT).await;
            open_first.send(()).unwrap();
            is_answered.await.unwrap();
            tokio::time::sleep(WAIT).await;
            open_second.send(()).unwrap();
        });
        tokio::join!(
            async {
                flame_on::call!(first, Db::Wait, LONG, Gate(gate_1)).await.unwrap();
                answered.send(()).unwrap();
            },
            async { flame_on::call!(second, Db::Wait, LONG, Gate(gate_2)).await.unwrap() },
        );
    })
    .await;
    // The second waits from the beginning, and owns what is left when the first has its reply.
    assert!(time_of(&trace, r#"SLEEP;CALL calls.first {:wait, "term"}"#) >= ALMOST);
    assert!(time_of(&trace, r#"SLEEP;CALL calls.second {:wait, "term"}"#) >= ALMOST);
}

#[tokio::test]
async fn a_shorter_call_inside_a_longer_one_owns_nothing() {
    let agent = TestAgent::start().unwrap();
    let (open, gate) = oneshot::channel();
    let (outer, inner) = (db(Some("calls.outer")).await, db(Some("calls.inner")).await);
    let (_, trace) = traced(&agent, async {
        tokio::join!(biased;
            async { flame_on::call!(outer, Db::Wait, LONG, Gate(gate)).await.unwrap() },
            async {
                call(&inner, Db::Ping, LONG).await.unwrap();
                nap().await;
                open.send(()).unwrap();
            },
        );
    })
    .await;
    time_of(&trace, r#"SLEEP;CALL calls.outer {:wait, "term"}"#);
    assert!(!trace.contains("CALL calls.inner"), "{}", trace.collapsed());
    assert_eq!(agent.stats().calls_routed, 4);
}

#[tokio::test]
async fn a_call_that_fails_or_is_dropped_owns_nothing() {
    let agent = TestAgent::start().unwrap();
    let db = db(None).await;
    let ((), trace) = traced(&agent, async {
        // Long: it begins within the poll, and what the poll takes from then on is no wait.
        let limit = 10 * WAIT;
        assert_eq!(call(&db, Db::Forget, limit).await, Err(CallError::Timeout(limit)));
        tokio::select! {
            _ = call(&db, Db::Forget, LONG) => panic!("nobody answers"),
            () = nap() => {}
        }
        // The actor's end drops the ports that it kept.
        let forgotten = call(&db, Db::Forget, LONG);
        let stopping = async {
            nap().await;
            db.stop_and_wait(None, None).await.unwrap();
        };
        assert_eq!(tokio::join!(forgotten, stopping).0, Err(CallError::NoReply));
        assert_eq!(call(&db, Db::Ping, LONG).await, Err(CallError::Stopped));
    })
    .await;
    assert!(time_of(&trace, "SLEEP") >= 3 * ALMOST);
    assert!(!trace.contains("CALL calls::Db"), "{}", trace.collapsed());
}

#[tokio::test]
async fn a_call_awaited_through_another_task_explains_the_sleep_of_its_trace() {
    let agent = TestAgent::start().unwrap();
    let db = db(None).await;
    let (row, trace) = traced(&agent, async {
        let sql = String::from("select 1");
        tokio::spawn(flame_on::call!(db, Db::Query, LONG, sql, options())).await.unwrap()
    })
    .await;
    assert_eq!(row, Ok(13));
    assert!(time_of(&trace, r#"SLEEP;CALL calls::Db {:query, "...", "%{...}"}"#) >= ALMOST);
}

#[tokio::test]
async fn a_call_after_the_end_of_its_trace_is_answered_dropped_and_counted() {
    let agent = TestAgent::start().unwrap();
    let db = db(None).await;
    let (late, trace) = traced(&agent, async { flame_on::call!(db, Db::Ping, LONG) }).await;
    assert_eq!(late.await, Ok(1));
    assert!(!trace.contains("CALL calls::Db"));
    assert_eq!((agent.stats().calls_routed, agent.stats().calls_dropped), (0, 1));
}

#[tokio::test]
async fn an_untraced_call_is_only_a_call() {
    let agent = TestAgent::start().unwrap();
    let db = db(None).await;
    assert_eq!(flame_on::call!(db, Db::Ping, LONG).await, Ok(1));
    assert_eq!(call_named("pg", &"select 1", async { 7 }).await, 7);
    assert_eq!(agent.stats().calls_routed + agent.stats().calls_dropped, 0);
}

enum Price {
    Of(u64, RpcReplyPort<u64>),
}
#[cfg(feature = "ractor-cluster")]
impl ractor::Message for Price {}

struct PriceActor {
    flame_on: FlameOn,
}

#[ractor::actor(message = Price, state = ActorRef<Db>, arguments = ActorRef<Db>)]
impl PriceActor {
    async fn pre_start(&self, _: ActorRef<Price>, db: ActorRef<Db>) -> Result<ActorRef<Db>, ActorProcessingErr> {
        Ok(db)
    }

    async fn handle(
        &self,
        _: ActorRef<Price>,
        Price::Of(sku, reply): Price,
        db: &mut ActorRef<Db>,
    ) -> Result<(), ActorProcessingErr> {
        let work = async {
            let rows = flame_on::call!(db, Db::Query, LONG, sku.to_string(), options()).await?;
            reply.send(rows)?;
            Ok(())
        };
        self.flame_on.unit("price.message", || "Price::Of").run(work).await
    }
}

#[tokio::test]
async fn an_actor_that_traces_its_messages_has_a_trace_of_its_own() {
    let agent = TestAgent::start().unwrap();
    let (price, _) = Actor::spawn(None, PriceActor { flame_on: FlameOn::clone(&agent) }, db(None).await).await.unwrap();
    let quote = agent.unit("test", || "unit").run(async { flame_on::call!(price, Price::Of, LONG, 42).await });
    assert_eq!(quote.await, Ok(7));
    let mut traces = agent.traces().await;
    traces.sort_by_key(|trace| trace.event_name().to_owned());
    let [message, quote] = <[Trace; 2]>::try_from(traces).unwrap();
    assert!(time_of(&quote, "SLEEP;CALL calls::Price {:of, 42}") >= ALMOST);
    assert!(!quote.contains("CALL calls::Db"), "{}", quote.collapsed());
    let path = r#"price.message Price::Of;SLEEP;CALL calls::Db {:query, "...", "%{...}"}"#;
    assert!(own(&message)[path] >= ALMOST);
    assert_ne!(quote.id(), message.id());
}

#[tokio::test]
async fn two_agents_do_not_mix() {
    let agents = [TestAgent::start().unwrap(), TestAgent::start().unwrap()];
    let db = db(None).await;
    let run = |agent: &TestAgent, name: &'static str| {
        let (unit, db) = (agent.unit("test", || "unit"), db.clone());
        unit.run(async move {
            call_named(name, &(), nap()).await;
            call(&db, Db::Ping, LONG).await.unwrap();
        })
    };
    tokio::join!(run(&agents[0], "left"), run(&agents[1], "right"));
    for (agent, mine, other) in [(&agents[0], "left", "CALL right"), (&agents[1], "right", "CALL left")] {
        let trace = only_trace(agent).await;
        assert!(time_of(&trace, &format!("SLEEP;CALL {mine} nil")) >= ALMOST);
        assert!(!trace.contains(other), "{}", trace.collapsed());
        assert_eq!((agent.stats().calls_routed, agent.stats().calls_dropped), (4, 0));
    }
}

fn routed_or_dropped(agent: &TestAgent) -> u64 {
    let stats = agent.stats();
    stats.calls_routed + stats.calls_dropped
}

#[tokio::test]
async fn ten_thousand_calls_of_one_trace_stay_within_bounds_and_are_counted() {
    const CALLS: u64 = 10_000;
    let agent = TestAgent::start().unwrap();
    let most = agent.config().max_capture_bytes() as u64;
    let db = db(None).await;
    let ((), trace) = traced(&agent, async {
        for number in 0..CALLS {
            call_labelled(&db, &("get", number), Db::Ping, LONG).await.unwrap();
            // The first thousand find room: of a trace 1,024 messages may wait for the agent.
            while number < 1_000 && number % 250 == 249 && routed_or_dropped(&agent) < 2 * (number + 1) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if number % 1_000 == 0 {
                assert!(agent.stats().capture_bytes <= most);
            }
        }
    })
    .await;
    let stats = agent.stats();
    assert_eq!(stats.calls_routed + stats.calls_dropped, 2 * CALLS, "{stats:?}");
    assert!(stats.calls_routed >= 2_000, "{stats:?}");
    assert!(trace.duration() > Duration::ZERO);
    drop(trace);
    // What is left waits for reuse: at most an eighth of the budget of chunks and a sixteenth of lanes.
    assert!(agent.stats().capture_bytes <= most / 8 + most / 16, "{:?}", agent.stats());
}
