//! The layer together with native capture: where a span stands among the functions.

use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{NativeCapture, Trace};
use tokio::sync::oneshot;
use tracing::{Instrument as _, info_span, instrument};

use super::{the_one, with_layer};

const SHORT: Duration = Duration::from_millis(100);
/// Ends a test that waits for what never comes.
const LIMIT: Duration = Duration::from_secs(180);

type Answer = oneshot::Receiver<()>;

async fn opens_shop(answer: Answer) {
    load(answer).await;
}

#[instrument(skip_all, fields(secret = "hunter2"))]
async fn load(answer: Answer) {
    gets_price(answer).await;
}

async fn gets_price(answer: Answer) {
    answer.await.unwrap();
}

async fn answers(sender: oneshot::Sender<()>) {
    tokio::time::sleep(SHORT).await;
    sender.send(()).unwrap();
}

struct Shop;

impl Shop {
    #[instrument(skip_all, fields(secret = "hunter2"))]
    async fn load(&self, answer: Answer) {
        gets_price(answer).await;
    }
}

async fn opens_another(answer: Answer) {
    Shop.load(answer).await;
}

async fn opens_department(answer: Answer) {
    gets_price(answer).instrument(info_span!("shop::department")).await;
}

/// A trace of `work`, which waits for an answer.
fn trace<F: Future<Output = ()>>(work: impl FnOnce(Answer) -> F) -> Trace {
    let agent = TestAgent::with(|config| config.native_capture(NativeCapture::On).cpu_sample_hz(0)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    with_layer(|| {
        runtime.block_on(async {
            let (sender, answer) = oneshot::channel();
            tokio::spawn(answers(sender));
            agent.unit("shop.batch", || "nightly").run(work(answer)).await;
        });
    });
    let ended = Instant::now();
    loop {
        // The symbols of a program that is not optimised can take long to read.
        assert!(ended.elapsed() < LIMIT, "{:#?}", agent.stats());
        match agent.traces_blocking() {
            traces if traces.is_empty() && agent.stats().outbox_traces + agent.stats().active_traces > 0 => {}
            traces => return the_one(traces),
        }
    }
}

/// The path of the longest wait, below the root; before that, what is true of every trace.
fn wait(trace: &Trace) -> String {
    assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration(), "{}", trace.collapsed());
    assert!(!trace.collapsed().contains("hunter2"), "fields are no part of a name");
    let profile = trace.pprof();
    assert!(!profile.windows(7).any(|bytes| bytes == b"hunter2"), "nor of anything else");
    let waits = trace.paths().filter(|(path, _)| path.contains("SLEEP") && !path.contains("QUEUE"));
    let (path, _) = waits.max_by_key(|(_, time)| *time).unwrap();
    path.replace("tracing_layer::native::", "").split_once(';').unwrap().1.to_owned()
}

#[test]
fn the_span_of_a_function_is_the_function_and_what_waits_in_it_is_below() {
    let trace = trace(opens_shop);
    let expected = "opens_shop;load;gets_price;tokio::sync::oneshot::Receiver;SLEEP;CALL answers";
    assert_eq!(wait(&trace), expected, "{}", trace.collapsed());
}

#[test]
fn the_span_of_a_method_stands_before_the_method() {
    let trace = trace(opens_another);
    let expected = "opens_another;load;Shop::load;gets_price;tokio::sync::oneshot::Receiver;SLEEP;CALL answers";
    assert_eq!(wait(&trace), expected, "{}", trace.collapsed());
}

#[test]
fn a_span_that_is_named_after_no_function_stands_where_it_was_entered() {
    let trace = trace(opens_department);
    let expected = "opens_department;shop::department;gets_price;tokio::sync::oneshot::Receiver;SLEEP;CALL answers";
    assert_eq!(wait(&trace), expected, "{}", trace.collapsed());
}
