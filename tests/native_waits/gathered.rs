//! Children of combinators that poll them with wakers of their own, and children that a task of the test answers.

use flame_on::FrameExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, FuturesUnordered, StreamExt as _};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{SHORT, longest_waits_at, trace, waits_at};

/// With the answer goes where to say that it was taken.
type Price = oneshot::Receiver<oneshot::Sender<()>>;
type Stock = oneshot::Receiver<()>;

async fn fetches_price(answer: Price) {
    answer.await.unwrap().send(()).unwrap();
}

async fn fetches_stock(answer: Stock) {
    answer.await.unwrap();
}

/// The one is answered first, the other when the answer was taken.
fn ask() -> (Price, Stock) {
    let ((price, price_answer), (stock, stock_answer)) = (oneshot::channel(), oneshot::channel());
    let (taken, is_taken) = oneshot::channel();
    tokio::spawn(answers_price(price, taken));
    tokio::spawn(answers_stock(stock, is_taken));
    (price_answer, stock_answer)
}

async fn answers_price(price: oneshot::Sender<oneshot::Sender<()>>, taken: oneshot::Sender<()>) {
    sleep(SHORT).await;
    price.send(taken).unwrap();
}

async fn answers_stock(stock: oneshot::Sender<()>, price_is_taken: oneshot::Receiver<()>) {
    price_is_taken.await.unwrap();
    sleep(SHORT).await;
    // Nobody waits for it any more where the first answer was enough.
    stock.send(()).ok();
}

async fn joins() {
    let (price, stock) = ask();
    tokio::join!(fetches_price(price), fetches_stock(stock));
}

#[test]
fn a_branch_of_join_and_who_answered_it() {
    let first = "joins;SLEEP;fetches_price;tokio::sync::oneshot*;CALL answers_price";
    let last = "joins;fetches_stock;tokio::sync::oneshot*;SLEEP;CALL answers_stock";
    longest_waits_at(&trace(joins()), &[first, last]);
}

async fn selects() {
    let (price, stock) = ask();
    tokio::select! {
        () = fetches_stock(stock) => {}
        () = fetches_price(price) => {}
    }
}

#[test]
fn a_branch_of_select_and_who_answered_it() {
    waits_at(&trace(selects()), "selects;SLEEP;fetches_price;tokio::sync::oneshot*;CALL answers_price");
}

async fn is_in_time() {
    let (price, _stock) = ask();
    timeout(1_000 * SHORT, fetches_price(price)).await.unwrap();
}

#[test]
fn a_timeout_that_does_not_fire_shows_what_it_is_around() {
    waits_at(&trace(is_in_time()), "is_in_time;SLEEP;fetches_price;tokio::sync::oneshot*;CALL answers_price");
}

fn children() -> [BoxFuture<'static, ()>; 2] {
    let (price, stock) = ask();
    [fetches_price(price).boxed(), fetches_stock(stock).boxed()]
}

fn branches() -> [BoxFuture<'static, ()>; 2] {
    children().map(|child| child.branch().boxed())
}

async fn gathers(children: impl FnOnce() -> [BoxFuture<'static, ()>; 2]) {
    let mut all = FuturesUnordered::from_iter(children());
    while all.next().await.is_some() {}
}

#[test]
fn futures_unordered_waits_as_a_whole() {
    let whole = "gathers;futures_util::stream::futures_unordered::FuturesUnordered*;SLEEP;CALL answers_";
    longest_waits_at(&trace(gathers(children)), &["price", "stock"].map(|item| format!("{whole}{item}")));
}

#[test]
fn futures_unordered_of_branches_shows_which_one_fired() {
    let of = |item| format!("gathers;SLEEP;fetches_{item};tokio::sync::oneshot*;CALL answers_{item}");
    longest_waits_at(&trace(gathers(branches)), &["price", "stock"].map(of));
}

async fn buffers(children: impl FnOnce() -> [BoxFuture<'static, ()>; 2]) {
    stream::iter(children()).buffer_unordered(2).for_each(async |()| ()).await;
}

#[test]
fn buffer_unordered_of_branches_shows_which_one_fired() {
    let of = |item| format!("buffers;SLEEP;fetches_{item};tokio::sync::oneshot*;CALL answers_{item}");
    longest_waits_at(&trace(buffers(branches)), &["price", "stock"].map(of));
}

async fn shares(children: impl FnOnce() -> [BoxFuture<'static, ()>; 2]) {
    for child in children() {
        let shared = child.shared();
        tokio::join!(shared.clone(), shared);
    }
}

#[test]
fn a_shared_future_waits_as_a_whole() {
    longest_waits_at(&trace(shares(children)), &["shares;SLEEP;CALL answers_price", "shares;SLEEP;CALL answers_stock"]);
}

#[test]
fn a_shared_branch_shows_what_it_waits_for() {
    let of = |item| format!("shares;SLEEP;fetches_{item};tokio::sync::oneshot*;CALL answers_{item}");
    longest_waits_at(&trace(shares(branches)), &["price", "stock"].map(of));
}
