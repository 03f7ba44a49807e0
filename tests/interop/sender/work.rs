//! The work: waiting, a call, computing, recursion, a deep stack, and names that a careless encoder would break.

use std::time::Duration;

use flame_on::{FlameOn, call_named};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::watch::{Done, Watch, traced};

pub(crate) const ORDER: &str = "shop.order";
pub(crate) const IMPORT: &str = "shop.import";

/// How long most frames take: above the part of a trace below which the profile filter leaves blocks out.
const STEP: Duration = Duration::from_millis(10);
/// How long the called one takes. So long, because what passes before the task first waits is not waiting.
const ANSWER: Duration = Duration::from_millis(50);
/// Frames of the deep stack.
const DEPTH: usize = 100;
/// More traces than one batch takes.
const SMALL_TRACES: usize = 12;

/// The shape of this may leave the process, its text may not.
#[derive(Serialize)]
enum Sql {
    Query(&'static str, u32),
}

const STATEMENT: &str = "select secret from vault";
const CALL: &str = "CALL postgres {:query, \"...\", 5000}";

pub(crate) async fn do_all(agent: &FlameOn) -> anyhow::Result<Vec<Done>> {
    let mut done = vec![
        unit(agent, ORDER, "GET /orders/{id}", order).await?,
        unit(agent, ORDER, "POST /a;b/{größe} \"quoted\" \\ <T as U>::f(x)", only_computing).await?,
        unit(agent, IMPORT, "recursion", recursion).await?,
        unit(agent, IMPORT, "deep stack", deep_stack).await?,
    ];
    for n in 0..SMALL_TRACES {
        done.push(unit(agent, IMPORT, &format!("file {n}"), only_computing).await?);
    }
    Ok(done)
}

async fn unit<F: Future<Output = ()>>(
    agent: &FlameOn,
    name: &'static str,
    identifier: &str,
    work: impl FnOnce(Watch) -> F,
) -> anyhow::Result<Done> {
    traced(|| agent.unit(name, || identifier), name, identifier, work).await
}

async fn order(watch: Watch) {
    watch.wait(&["warm_up"], tokio::time::sleep(STEP)).await;
    let asked = Moment::now();
    let answer = watch.wait(&["load"], call_named("postgres", &Sql::Query(STATEMENT, 5_000), ask())).await;
    assert!(answer.is_ok(), "the thread has answered");
    let waited = answer.map_or(Duration::ZERO, |answered| watch.waited_until(answered));
    watch.claim(&["load", "SLEEP", CALL], waited.as_micros(), asked.elapsed().as_micros());
    watch.block(&["render"], || compute(STEP));
}

/// The answer is the moment before it was given.
async fn ask() -> Result<Moment, oneshot::error::RecvError> {
    let (reply, answer) = oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(ANSWER);
        // `Err`: nobody waits any longer.
        reply.send(Moment::now()).ok();
    });
    answer.await
}

async fn only_computing(watch: Watch) {
    watch.block(&["parse"], || watch.block(&["parse", "app::Row<T>::read"], || compute(STEP)));
}

async fn recursion(watch: Watch) {
    watch.block(&["walk"], || {
        compute(STEP);
        watch.block(&["walk", "visit"], || {
            compute(STEP);
            watch.block(&["walk", "visit", "walk"], || compute(STEP));
        });
    });
}

async fn deep_stack(watch: Watch) {
    let outside = Moment::now();
    let inside = descend(DEPTH);
    watch.claim(&["down"; DEPTH], inside, outside.elapsed().as_micros());
}

fn descend(depth: usize) -> u128 {
    if depth == 0 {
        let inside = Moment::now();
        compute(2 * STEP);
        return inside.elapsed().as_micros();
    }
    flame_on::frame!("down");
    descend(depth - 1)
}

/// Uses this much time, however much of it the machine gives to this thread.
fn compute(time: Duration) {
    let began = Moment::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}
