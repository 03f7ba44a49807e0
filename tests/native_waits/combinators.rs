use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{SHORT, longest_waits_at, short, trace, waits, waits_at};

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
    let first = "joins_two;SLEEP;fetches_price;tokio::time::sleep*";
    let last = "joins_two;fetches_stock;tokio::time::sleep*;SLEEP";
    longest_waits_at(&trace(joins_two()), &[first, last]);
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
