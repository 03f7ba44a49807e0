use std::time::Duration;

use flame_on::FrameExt as _;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use super::{SHORT, short, trace, waits, waits_at};

const LONG: Duration = Duration::from_secs(60);

async fn fetches_price() {
    sleep(SHORT).await;
}

async fn fetches_stock() {
    sleep(3 * SHORT).await;
}

async fn never_fetches() {
    sleep(LONG).await;
}

async fn joins_two() {
    tokio::join!(fetches_price(), fetches_stock());
}

#[test]
fn join_waits_for_both_under_their_ancestor_and_then_for_one() {
    let trace = trace(joins_two());
    let waits: Vec<_> = waits(&trace).into_iter().map(|(path, time)| (short(&path), time)).collect();
    let has = |start: &str| waits.iter().any(|(path, time)| path.starts_with(start) && *time >= SHORT / 2);
    assert!(has("joins_two;SLEEP;fetches_price;tokio::time::sleep"), "{waits:#?}");
    assert!(has("joins_two;fetches_stock;tokio::time::sleep"), "{waits:#?}");
}

async fn selects() {
    tokio::select! {
        () = fetches_price() => {}
        () = never_fetches() => {}
    }
}

#[test]
fn select_shows_the_branch_that_fired() {
    waits_at(&trace(selects()), "selects;SLEEP;fetches_price;tokio::time::sleep*");
}

async fn times_out() {
    timeout(SHORT, never_fetches()).await.unwrap_err();
}

#[test]
fn a_timeout_that_fires_is_its_own_branch() {
    let trace = trace(times_out());
    let waits = waits(&trace);
    let longest = waits.iter().max_by_key(|(_, time)| *time).map(|(path, _)| short(path)).unwrap();
    assert!(longest.starts_with("times_out;SLEEP;tokio::time::"), "{waits:#?}");
    assert!(!longest.contains("never_fetches"), "{waits:#?}");
}

async fn gathers(is_branched: bool) {
    let mut all = FuturesUnordered::new();
    for number in 1..=3 {
        let fetch = fetches_one(number);
        all.push(if is_branched {
            futures::future::Either::Left(fetch.branch())
        } else {
            futures::future::Either::Right(fetch)
        });
    }
    while all.next().await.is_some() {}
}

async fn fetches_one(number: u32) {
    sleep(number * SHORT).await;
}

#[test]
fn futures_unordered_waits_as_a_whole() {
    let trace = trace(gathers(false));
    let waits: Vec<_> = waits(&trace).into_iter().map(|(path, _)| short(&path)).collect();
    assert!(waits.iter().all(|path| path.starts_with("gathers") && !path.contains("fetches_one")), "{waits:#?}");
}

#[test]
fn futures_unordered_of_branches_shows_which_one_fired() {
    let trace = trace(gathers(true));
    let waits: Vec<_> = waits(&trace).into_iter().map(|(path, time)| (short(&path), time)).collect();
    let waited: Duration = waits.iter().filter(|(path, _)| path.contains("fetches_one")).map(|(_, time)| *time).sum();
    assert!(waited >= 2 * SHORT, "{waits:#?}");
}
