//! The agent as a user sees it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{FrameExt, Trace, frame, in_frame};

fn assert_conserved(trace: &Trace) {
    let sum: Duration = trace.paths().map(|(_, own)| own).sum();
    assert_eq!(sum, trace.duration(), "{trace:?}");
}

#[test]
fn synchronous_work_is_traced_without_a_runtime() {
    let agent = TestAgent::start().unwrap();
    agent.unit("shop.batch", || "nightly").in_scope(|| {
        frame!("load");
        in_frame("parse", || std::hint::black_box(1));
    });
    let traces = agent.traces_blocking();
    let [trace] = &traces[..] else { panic!("{traces:?} {:?}", agent.stats()) };
    assert_eq!((trace.event_name(), trace.identifier()), ("shop.batch", "nightly"));
    assert_conserved(trace);
    assert_eq!(agent.active_traces(), 0);
}

#[test]
fn a_trace_of_more_paths_than_its_session_finishes_itself_is_shipped_as_well() {
    const NAMES: [&str; 40] = {
        let mut names = ["work"; 40];
        let text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let mut at = 0;
        while at < names.len() {
            names[at] = text.split_at(at + 1).0;
            at += 1;
        }
        names
    };
    let agent = TestAgent::start().unwrap();
    agent.unit("shop.batch", || "nightly").in_scope(|| {
        for outer in NAMES {
            in_frame(outer, || NAMES.into_iter().for_each(|inner| in_frame(inner, || std::hint::black_box(()))));
        }
    });
    let traces = agent.traces_blocking();
    let [trace] = &traces[..] else { panic!("{traces:?} {:?}", agent.stats()) };
    assert_conserved(trace);
    assert!(agent.stats().events >= 2 * 40 * 40, "{:?}", agent.stats());
}

#[tokio::test]
async fn an_await_is_a_sleep_under_its_frame_and_a_call_explains_it() {
    let agent = TestAgent::start().unwrap();
    agent
        .unit("shop.order", || "buy")
        .run(async {
            tokio::time::sleep(Duration::from_millis(5)).in_frame("warm_up").await;
            let (tx, rx) = tokio::sync::oneshot::channel();
            // From a task, which begins when the trace waits.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                tx.send(7).ok();
            });
            flame_on::call_named("postgres", &("query", "select 1"), rx).in_frame("load").await.unwrap();
        })
        .await;
    let traces = agent.traces().await;
    let [trace] = &traces[..] else { panic!("{traces:?} {:?}", agent.stats()) };
    assert_conserved(trace);
    assert!(trace.contains("SLEEP") && trace.contains("warm_up") && trace.contains("CALL postgres"));
}
