use proptest::prelude::*;

use super::*;

/// What reaches a fold, from either lane.
#[derive(Debug, Clone)]
enum Input {
    Event(TraceEvent, u64),
    Receive(u32, FrameId, u64),
    Send(u32, u64),
}

fn frame() -> impl Strategy<Value = FrameId> {
    prop_oneof![9 => (10..20_u32).prop_map(FrameId), 1 => (10..200_u32).prop_map(FrameId)]
}

fn event() -> impl Strategy<Value = TraceEvent> {
    prop_oneof![
        8 => frame().prop_map(TraceEvent::Call),
        4 => (0..12_u32).prop_map(|depth| TraceEvent::Return { depth }),
        4 => (0..12_u32).prop_map(|depth| TraceEvent::Leave { depth }),
        1 => prop::option::of(frame()).prop_map(TraceEvent::ReturnTo),
        2 => frame().prop_map(TraceEvent::Abandon),
        4 => Just(TraceEvent::In),
        4 => Just(TraceEvent::Out),
        1 => Just(TraceEvent::OutPeer),
        1 => Just(TraceEvent::Starved),
        2 => (0..8_u32).prop_map(TraceEvent::CallOpen),
        2 => (0..8_u32).prop_map(TraceEvent::CallClosed),
    ]
}

/// Times mostly go on, now and then back.
fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let step = prop_oneof![9 => 0..2_000_i64, 1 => -3_000..0_i64];
    let input = prop_oneof![
        8 => event().prop_map(|event| Input::Event(event, 0)),
        1 => ((0..8_u32), frame()).prop_map(|(id, label)| Input::Receive(id, label, 0)),
        1 => (0..8_u32).prop_map(|id| Input::Send(id, 0)),
    ];
    prop::collection::vec((input, step), 0..300).prop_map(|inputs| {
        let mut now = 0_i64;
        let at_its_time = |(mut input, step): (Input, i64)| {
            now = (now + step).max(0);
            let (Input::Event(_, at) | Input::Receive(_, _, at) | Input::Send(_, at)) = &mut input;
            *at = now.cast_unsigned();
            input
        };
        inputs.into_iter().map(at_its_time).collect()
    })
}

fn fold_all(limits: FoldLimits, logs_every_sleep: bool, inputs: &[Input], end: u64) -> Finished {
    let mut fold = Fold::new(limits);
    if logs_every_sleep {
        fold = fold.log_every_sleep();
    }
    for input in inputs {
        match *input {
            Input::Event(event, at) => fold.apply(event, Nanos(at)),
            Input::Receive(id, label, at) => fold.receive(id, label, Nanos(at)),
            Input::Send(id, at) => fold.send(id, Nanos(at)),
        }
    }
    fold.finish(Nanos(end))
}

fn own_times(finished: Finished) -> Vec<(u32, String, u64)> {
    let profile = finished.tree.into_profile("root", |frame| frame.0.to_string());
    let nodes = profile.nodes.iter();
    nodes.map(|node| (node.parent, profile.frames[node.frame as usize].name.to_string(), node.own.0)).collect()
}

/// How long the task waited for anything but its client.
fn slept(inputs: &[Input], end: u64) -> u64 {
    let (mut now, mut since, mut total) = (0, None, 0);
    for input in inputs {
        let Input::Event(event, at) = input else { continue };
        now = now.max(*at);
        match event {
            TraceEvent::Out if since.is_none() => since = Some((now, true)),
            TraceEvent::OutPeer | TraceEvent::In | TraceEvent::Call(_) | TraceEvent::Starved => {
                let is_peer = matches!(event, TraceEvent::OutPeer);
                if let Some((from, true)) = since.take() {
                    total += now - from;
                }
                if is_peer {
                    since = Some((now, false));
                }
            }
            _ => {}
        }
    }
    if let Some((from, true)) = since {
        total += now.max(end) - from;
    }
    total
}

proptest! {
    #[test]
    fn own_times_sum_to_the_duration(
        inputs in inputs(),
        max_stacks in prop_oneof![1..20_usize, Just(10_000)],
        max_depth in prop_oneof![0..5_usize, Just(512)],
        logs_every_sleep: bool,
        end in 0..400_000_u64,
    ) {
        let latest = inputs.iter().filter_map(|input| match input {
            Input::Event(_, at) => Some(*at),
            Input::Receive(..) | Input::Send(..) => None,
        });
        let expected = latest.max().unwrap_or(0).max(end);
        let finished = fold_all(FoldLimits { max_stacks, max_depth }, logs_every_sleep, &inputs, end);
        prop_assert_eq!(finished.duration, Nanos(expected));
        prop_assert!(finished.tree.nodes() <= max_stacks);
        let profile = finished.tree.into_profile("root", |frame| frame.0.to_string());
        prop_assert_eq!(profile.total(), Nanos(expected));
    }

    #[test]
    fn sleep_and_what_calls_own_of_it_is_the_time_out(inputs in inputs(), logs_every_sleep: bool, end in 0..400_000_u64) {
        let limits = FoldLimits { max_stacks: 100_000, max_depth: 512 };
        let finished = fold_all(limits, logs_every_sleep, &inputs, end);
        let rows = own_times(finished);
        let is_sleep = |index: u32| rows.get(index as usize).is_some_and(|(_, name, _)| name == "1");
        let in_sleep = rows.iter().enumerate().filter(|(index, (parent, _, _))| {
            is_sleep(*index as u32) || is_sleep(*parent)
        });
        prop_assert_eq!(in_sleep.map(|(_, (_, _, own))| own).sum::<u64>(), slept(&inputs, end));
    }

    #[test]
    fn the_lanes_may_interleave_in_any_way(inputs in inputs(), end in 0..400_000_u64) {
        let limits = FoldLimits { max_stacks: 100_000, max_depth: 512 };
        let (events, calls): (Vec<_>, Vec<_>) =
            inputs.iter().cloned().partition(|input| matches!(input, Input::Event(..)));
        let one_after_the_other: Vec<_> = events.into_iter().chain(calls).collect();
        let mixed = fold_all(limits, false, &inputs, end);
        let apart = fold_all(limits, false, &one_after_the_other, end);
        prop_assert_eq!((mixed.duration, mixed.peer), (apart.duration, apart.peer));
        prop_assert_eq!(own_times(mixed), own_times(apart));
    }
}
