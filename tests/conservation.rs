//! Random work under random limits, through the whole agent: the own times of every shipped trace sum to its duration.
#![allow(clippy::unwrap_used, reason = "tests")]

mod load_common;

use std::pin::Pin;
use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{FrameExt, Settings, call_named, in_frame};
use load_common::assert_ledger_closes;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// This many frames, one after the other, each this deep.
    Frames(u16, usize),
    Yield,
    Sleep,
    Future(usize, Vec<Step>),
    Call(Vec<Step>),
    Both(Vec<Step>, Vec<Step>),
    /// The first to be ready; the other is dropped.
    First(Vec<Step>, Vec<Step>),
}

const NAMES: [&str; 5] = ["v", "w", "x", "y", "z"];

fn step() -> impl Strategy<Value = Step> {
    let leaf = prop_oneof![
        3 => (1..400_u16, 1..8_usize).prop_map(|(count, depth)| Step::Frames(count, depth)),
        2 => Just(Step::Yield),
        1 => Just(Step::Sleep),
    ];
    leaf.prop_recursive(4, 32, 4, |step| {
        let steps = prop::collection::vec(step, 0..4);
        let two = (steps.clone(), steps.clone());
        prop_oneof![
            3 => (0..NAMES.len(), steps.clone()).prop_map(|(name, steps)| Step::Future(name, steps)),
            1 => steps.prop_map(Step::Call),
            1 => two.clone().prop_map(|(one, other)| Step::Both(one, other)),
            1 => two.prop_map(|(one, other)| Step::First(one, other)),
        ]
    })
}

fn frames(name: usize, depth: usize) {
    in_frame(NAMES[name % NAMES.len()], || {
        if depth > 1 {
            frames(name + 1, depth - 1)
        }
    });
}

fn run(steps: &[Step]) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    Box::pin(async move {
        for step in steps {
            match step {
                Step::Frames(count, depth) => (0..*count).for_each(|number| frames(number.into(), *depth)),
                Step::Yield => tokio::task::yield_now().await,
                Step::Sleep => tokio::time::sleep(Duration::from_micros(300)).await,
                Step::Future(name, steps) => run(steps).in_frame(NAMES[*name]).await,
                Step::Call(steps) => call_named("store", &steps.len(), run(steps)).await,
                Step::Both(one, other) => drop(tokio::join!(run(one).in_frame("one"), run(other).in_frame("other"))),
                Step::First(one, other) => tokio::select! {
                    () = run(one).in_frame("one") => (),
                    () = run(other).in_frame("other") => (),
                },
            }
        }
    })
}

fn limits() -> impl Strategy<Value = Settings> {
    (
        prop_oneof![1..20_u64, Just(50_000)],
        prop_oneof![1..6_u64, Just(512)],
        prop_oneof![1..2_000_u64, Just(500_000)],
        prop_oneof![Just(64 << 10), Just(4 << 20)],
        prop_oneof![Just(0.005), 0.005..1.0],
    )
        .prop_map(|(max_stacks, max_stack_depth, max_events, trace_buffer, function_length_threshold)| {
            let mut settings = Settings::default();
            settings.max_stacks = Some(max_stacks);
            settings.max_stack_depth = Some(max_stack_depth);
            settings.max_events = Some(max_events);
            settings.trace_buffer_size_bytes = Some(trace_buffer);
            settings.function_length_threshold = Some(function_length_threshold);
            settings
        })
}

#[test]
fn own_times_sum_to_the_duration_whatever_is_left_out() {
    let agent = TestAgent::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let task = (prop::collection::vec(step(), 1..6), prop::option::of(0..2_000_u64));
    let case = (limits(), prop::collection::vec(task, 1..12));
    proptest!(ProptestConfig::with_cases(100), |((settings, tasks) in case)| {
        agent.reload(&settings).unwrap();
        let count = tasks.len();
        runtime.block_on(async {
            let spawned: Vec<_> = tasks.into_iter().enumerate().map(|(number, (steps, cancelled_after))| {
                let scope = agent.unit("conservation.unit", || format!("task {number}"));
                tokio::spawn(async move {
                    let limit = cancelled_after.map_or(Duration::from_secs(3_600), Duration::from_micros);
                    // `Err`: cancelled, as it was meant to be.
                    tokio::time::timeout(limit, scope.run(async move { run(&steps).await })).await.ok();
                })
            }).collect();
            for task in spawned {
                task.await.unwrap();
            }
        });
        let traces = agent.traces_blocking();
        // Traces that the agent's own use of CPU kept out, on a slow machine, are not missing.
        prop_assert!(traces.len() as u64 + agent.stats().skipped_cpu >= count as u64);
        for trace in &traces {
            let sum: Duration = trace.paths().map(|(_, own)| own).sum();
            prop_assert_eq!(sum, trace.duration(), "{:?}", trace);
            let depth = trace.paths().map(|(path, _)| path.split(';').count()).max().unwrap_or(0) as u64;
            // The root, the frames, and `SLEEP` with a call under it.
            prop_assert!(depth <= settings.max_stack_depth.unwrap() + 3);
            prop_assert!(trace.paths().count() as u64 <= settings.max_stacks.unwrap());
        }
    });
    let stats = assert_ledger_closes(&agent);
    assert_eq!(stats.shipped, stats.started, "{stats:#?}");
}
