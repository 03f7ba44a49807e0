//! Whatever a trace did, and whatever was captured of it: time is moved, never made or lost.

use proptest::prelude::*;

use super::tests::{HAND, SPAN, TASK, Trace, trace_within};
use crate::model::frame::FrameId;
use crate::model::stack::Place;
use crate::model::trace_event::TraceEvent;

#[derive(Debug, Clone)]
enum Step {
    Event(TraceEvent),
    Site(u32, Vec<u64>),
    Branch(u32, Vec<u64>),
    Woke(u32, Vec<u64>),
    WokeBy,
    Sample(Vec<u64>),
    Received,
    Frozen,
}

fn frame() -> impl Strategy<Value = FrameId> {
    prop_oneof![Just(HAND), Just(SPAN), Just(TASK), (1_010..1_014_u32).prop_map(FrameId)]
}

fn event() -> impl Strategy<Value = TraceEvent> {
    prop_oneof![
        3 => frame().prop_map(TraceEvent::Call),
        3 => (frame(), 0..100_u16).prop_map(|(frame, place)| TraceEvent::CallAt(frame, Place(place))),
        3 => (0..6_u32).prop_map(|depth| TraceEvent::Return { depth }),
        2 => (0..6_u32).prop_map(|depth| TraceEvent::Leave { depth }),
        1 => (0..6_u32).prop_map(|depth| TraceEvent::Pause { depth }),
        1 => frame().prop_map(TraceEvent::Abandon),
        6 => Just(TraceEvent::In),
        6 => Just(TraceEvent::Out),
        1 => Just(TraceEvent::OutPeer),
        1 => Just(TraceEvent::Starved),
        1 => (0..3_u32).prop_map(TraceEvent::CallOpen),
        1 => (0..3_u32).prop_map(TraceEvent::CallClosed),
        3 => (0..8_u32).prop_map(TraceEvent::Gone),
        3 => (0..4_u32).prop_map(TraceEvent::Sampled),
    ]
}

/// Functions of all kinds: the user's, a library's, plumbing, an actor's handler.
fn stack() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![1..7_u64, 100..104_u64], 0..7)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => event().prop_map(Step::Event),
        3 => (0..8_u32, stack()).prop_map(|(site, stack)| Step::Site(site, stack)),
        1 => (0..8_u32, stack()).prop_map(|(site, stack)| Step::Branch(site, stack)),
        3 => (0..8_u32, stack()).prop_map(|(site, stack)| Step::Woke(site, stack)),
        1 => Just(Step::WokeBy),
        4 => stack().prop_map(Step::Sample),
        1 => Just(Step::Received),
    ]
}

/// Each with the time that passes before it, which now and then goes back.
fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    let passes = prop_oneof![9 => 0..500_i64, 1 => -600..0_i64];
    let frozen = prop_oneof![9 => Just(None), 1 => (0..200_usize).prop_map(Some)];
    (prop::collection::vec((step(), passes), 0..200), frozen).prop_map(|(mut steps, frozen)| {
        if let Some(at) = frozen {
            steps.insert(at.min(steps.len()), (Step::Frozen, 0));
        }
        steps
    })
}

fn run(steps: &[(Step, i64)], max_stacks: usize) -> (Trace, u64) {
    let (mut trace, mut now) = (trace_within(max_stacks), 0_i64);
    for (step, passes) in steps {
        now = (now + passes).max(0);
        let at = now.cast_unsigned();
        trace = match step {
            Step::Event(event) => trace.at(at, *event),
            Step::Site(site, stack) => trace.site(at, *site, stack),
            Step::Branch(site, stack) => trace.branch(at, *site, stack),
            Step::Woke(site, stack) => trace.woke(at, *site, stack),
            Step::WokeBy => trace.woke_by(at),
            Step::Sample(stack) => trace.sample(at, stack),
            Step::Received => trace.with_call("CALL db", at, at + 100),
            Step::Frozen => trace.freeze(),
        };
    }
    (trace, now.cast_unsigned())
}

fn waited(times: &[(String, u64)]) -> u64 {
    times.iter().filter(|(path, _)| path.contains("SLEEP")).map(|(_, time)| time).sum()
}

proptest! {
    #[test]
    fn own_times_sum_to_the_duration_and_waiting_stays_waiting(
        steps in steps(),
        max_stacks in prop_oneof![1..12_usize, Just(10_000)],
        rest in 0..1_000_u64,
    ) {
        let (trace, now) = run(&steps, max_stacks);
        // Asserts the sum.
        let assembled = trace.ends(now + rest);
        if max_stacks > 1_000 && !steps.iter().any(|(step, _)| matches!(step, Step::Frozen)) {
            let (trace, _) = run(&steps, max_stacks);
            prop_assert_eq!(waited(&assembled), waited(&trace.ends_unassembled(now + rest)));
        }
    }
}
