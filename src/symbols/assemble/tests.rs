use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::model::fold::{Finished, Fold, FoldLimits};
use crate::model::profile::Profile;
use crate::model::stack::{Framed, Place};
use crate::model::trace_event::{Captured, EndReason, TraceEvent};
use crate::symbols::symbol::{Class, Role, Symbol};

/// Addresses are numbers, and these are their functions; below 100 own ones.
fn symbol(address: u64) -> Symbol {
    let (name, class) = match address {
        1 => ("app::handler", Class::Own),
        2 => ("app::load", Class::Own),
        3 => ("app::save", Class::Own),
        4 => ("app::PriceActor::handle", Class::Own),
        5 => ("app::producer", Class::Own),
        6 => ("app::flow", Class::Own),
        102 => ("core::future::poll_fn::PollFn", Class::Plumbing),
        103 => ("flame_on::capture::recorder::Recorder::write", Class::Plumbing),
        104 => ("flame_on::capture::native::waker::RootWaker::with", Class::Plumbing),
        100 => ("tokio::time::sleep", Class::Library),
        101 => ("tokio::sync::oneshot", Class::Library),
        _ => ("tokio::runtime::task::poll", Class::Plumbing),
    };
    let role = match address {
        4 => Role::ActorHandler,
        6 => Role::Body,
        _ => Role::Plain,
    };
    Symbol { name: name.into(), file: None, line: 0, class, role, task: None }
}

pub(super) const HAND: FrameId = FrameId(1_000);
pub(super) const SPAN: FrameId = FrameId(1_001);
pub(super) const TASK: FrameId = FrameId(1_002);
/// A span with the whole name of its function.
const HANDLER: FrameId = FrameId(1_003);

fn by_hand(frame: FrameId) -> NamedFrame {
    let name = match frame {
        HAND => "by hand",
        SPAN => "load",
        HANDLER => "app::handler",
        TASK => "writer",
        FrameId::SLEEP => "SLEEP",
        FrameId::QUEUE => "QUEUE",
        _ => "(other)",
    };
    let source =
        [SPAN, HANDLER].contains(&frame).then(|| crate::model::frame::Source { file: "app.rs".into(), line: 1 });
    NamedFrame { name: name.into(), source }
}

/// Frames from the root on, each 16 steps further in; given innermost first, as they are captured.
fn stack(addresses: &[u64]) -> Vec<StackWord> {
    let frames = (0u16..).zip(addresses).map(|(depth, address)| StackWord::native(*address, Place(depth * 16)));
    let mut frames: Vec<_> = frames.collect();
    frames.reverse();
    frames
}

fn chain(stack: &[StackWord]) -> Arc<Chain> {
    let mut chain = Chain::default();
    for (number, word) in (0..).zip(stack) {
        if let Framed::Native(address) = word.framed() {
            chain.push(number, &[symbol(address)]);
        }
    }
    chain.into()
}

pub(super) struct Trace {
    fold: Fold,
    samples: Vec<TimedStack>,
}

fn trace() -> Trace {
    trace_within(1_000)
}

pub(super) fn trace_within(max_stacks: usize) -> Trace {
    let fold = Fold::new(FoldLimits { max_stacks, max_depth: 100 }).with_native();
    Trace { fold, samples: Vec::new() }
}

impl Trace {
    pub(super) fn at(mut self, at: u64, event: TraceEvent) -> Self {
        self.fold.apply(event, Nanos(at));
        self
    }

    pub(super) fn site(mut self, at: u64, site: u32, addresses: &[u64]) -> Self {
        let event = TraceEvent::Site(Captured { site, slots: 1 });
        self.fold.apply_captured(event, Nanos(at), &stack(addresses));
        self
    }

    pub(super) fn branch(mut self, at: u64, site: u32, addresses: &[u64]) -> Self {
        let event = TraceEvent::BranchSite(Captured { site, slots: 1 });
        self.fold.apply_captured(event, Nanos(at), &stack(addresses));
        self
    }

    pub(super) fn woke(mut self, at: u64, site: u32, addresses: &[u64]) -> Self {
        self.fold.apply_captured(TraceEvent::Woke(Captured { site, slots: 1 }), Nanos(at), &stack(addresses));
        self
    }

    pub(super) fn woke_by(mut self, at: u64) -> Self {
        self.fold.apply_captured(TraceEvent::WokeBy(TASK), Nanos(at), &[]);
        self
    }

    pub(super) fn sample(mut self, at: u64, addresses: &[u64]) -> Self {
        self.samples.push(TimedStack { at: Nanos(at), frames: stack(addresses).into() });
        self
    }

    pub(super) fn with_call(mut self, label: &str, sent: u64, answered: u64) -> Self {
        let label = if label == "CALL db" { FrameId(2_000) } else { FrameId(2_001) };
        self.fold.receive(1, label, Nanos(sent));
        self.fold.send(1, Nanos(answered));
        self
    }

    pub(super) fn freeze(mut self) -> Self {
        self.fold.freeze();
        self
    }

    /// Own times by path as the fold has them, without native frames.
    pub(super) fn ends_unassembled(mut self, end: u64) -> Vec<(String, u64)> {
        self.fold.apply(TraceEvent::End(EndReason::Done), Nanos(end));
        lines(&self.fold.finish(Nanos(end)).tree.into_profile("root", by_hand))
    }

    /// Own times by path, after the end at `end`.
    pub(super) fn ends(self, end: u64) -> Vec<(String, u64)> {
        let Self { mut fold, samples } = self;
        fold.apply(TraceEvent::End(EndReason::Done), Nanos(end));
        let Finished { mut tree, native, duration, .. } = fold.finish(Nanos(end));
        let (mut numbers, mut names) = (HashMap::<Arc<str>, FrameId>::new(), HashMap::new());
        let mut frame = |named: NamedFrame| {
            let next = FrameId(5_000 + numbers.len() as u32);
            let frame = *numbers.entry(named.name.clone()).or_insert(next);
            names.insert(frame, named.name);
            frame
        };
        let log = native.unwrap();
        let naming = Naming {
            chain: &mut |stack| match stack {
                Stack::Wait(stack) => chain(log.stacks.frames(stack)),
                Stack::Sample(frames) => chain(frames),
            },
            frame: &mut frame,
            by_hand: &by_hand,
            is_raw: false,
        };
        assemble(&mut tree, &log, samples, naming);
        let profile = tree.into_profile("root", |frame| match frame {
            FrameId(2_000) => "CALL db".into(),
            other => names.get(&other).map_or_else(|| by_hand(other), |name| name.clone().into()),
        });
        assert_eq!(profile.total(), duration, "time is conserved");
        lines(&profile)
    }
}

fn lines(profile: &Profile) -> Vec<(String, u64)> {
    let mut paths: Vec<String> = Vec::new();
    for node in &profile.nodes {
        let name = &profile.frames[node.frame as usize].name;
        let parent = paths.get(node.parent as usize).map(|parent| format!("{parent};{name}"));
        paths.push(parent.unwrap_or_else(|| name.to_string()));
    }
    let times = profile.nodes.iter().map(|node| node.own.0);
    paths.into_iter().zip(times).filter(|(_, time)| *time > 0).collect()
}

fn is(times: &[(String, u64)], expected: &[(&str, u64)]) {
    let mut times: Vec<_> = times.iter().map(|(path, time)| (path.as_str(), *time)).collect();
    let mut expected = expected.to_vec();
    times.sort_unstable();
    expected.sort_unstable();
    assert_eq!(times, expected);
}

#[test]
fn a_sleep_stands_under_the_function_that_waits_and_polls_under_what_both_sites_share() {
    let times = trace()
        .at(0, TraceEvent::In)
        .site(10, 0, &[999, 1, 2, 100])
        .at(10, TraceEvent::Out)
        .woke(60, 0, &[999])
        .at(70, TraceEvent::In)
        .site(75, 1, &[999, 1, 3, 101])
        .at(80, TraceEvent::Out)
        .woke(200, 1, &[999, 4, 101])
        .at(200, TraceEvent::In)
        .ends(230);
    is(
        &times,
        &[
            ("root;app::handler", 10 + 10 + 30),
            ("root;app::handler;app::load;tokio::time::sleep;SLEEP", 50),
            ("root;app::handler;app::load;tokio::time::sleep;SLEEP;QUEUE", 10),
            ("root;app::handler;app::save;tokio::sync::oneshot;SLEEP;CALL app::PriceActor", 120),
        ],
    );
}

#[test]
fn of_several_pending_sites_the_common_ancestor_waits_and_the_branch_that_fired_is_below() {
    let times = trace()
        .at(0, TraceEvent::In)
        .site(0, 0, &[1, 2, 100])
        .site(0, 1, &[1, 3, 101])
        .at(0, TraceEvent::Out)
        .woke(50, 1, &[5, 101])
        .at(50, TraceEvent::In)
        .ends(50);
    is(&times, &[("root;app::handler;SLEEP;app::save;tokio::sync::oneshot;CALL app::producer", 50)]);
}

#[test]
fn a_site_that_is_gone_when_the_poll_ends_is_not_waited_at() {
    let times = trace()
        .at(0, TraceEvent::In)
        .site(0, 0, &[1, 2, 100])
        .site(0, 1, &[1, 3, 101])
        .at(0, TraceEvent::Gone(1))
        .at(0, TraceEvent::Out)
        .at(50, TraceEvent::In)
        .ends(50);
    is(&times, &[("root;app::handler;app::load;tokio::time::sleep;SLEEP", 50)]);
}

#[test]
fn code_that_has_gone_on_in_an_async_body_does_not_wait_where_it_was_before() {
    let waits = |stack_of: [&[u64]; 2]| {
        trace()
            .at(0, TraceEvent::In)
            .site(0, 0, stack_of[0])
            .site(0, 1, stack_of[1])
            .at(0, TraceEvent::Out)
            .woke(50, 1, &[])
            .at(50, TraceEvent::In)
            .ends(50)
    };
    let one_after_the_other = waits([&[999, 6, 2, 100], &[999, 6, 3, 101]]);
    is(&one_after_the_other, &[("root;app::flow;app::save;tokio::sync::oneshot;SLEEP", 50)]);
    let at_once = waits([&[999, 102, 6, 2, 100], &[999, 102, 6, 3, 101]]);
    is(&at_once, &[("root;app::flow;SLEEP;app::save;tokio::sync::oneshot", 50)]);
}

#[test]
fn a_branch_waits_over_polls_in_which_it_is_not_polled() {
    let times = trace()
        .at(0, TraceEvent::In)
        .branch(0, 0, &[1, 2, 100])
        .branch(0, 1, &[1, 3, 101])
        .at(0, TraceEvent::Out)
        .woke(20, 1, &[])
        .at(20, TraceEvent::In)
        .at(20, TraceEvent::Gone(1))
        .at(20, TraceEvent::Out)
        .woke(50, 0, &[])
        .at(50, TraceEvent::In)
        .ends(50);
    is(
        &times,
        &[
            ("root;app::handler;SLEEP;app::save;tokio::sync::oneshot", 20),
            ("root;app::handler;app::load;tokio::time::sleep;SLEEP", 30),
        ],
    );
}

#[test]
fn a_poll_is_divided_among_its_samples_to_the_last_nanosecond() {
    let times = trace()
        .at(0, TraceEvent::In)
        .sample(3, &[999, 1, 2])
        .sample(5, &[999, 1, 3])
        .sample(7, &[999, 1, 2])
        .at(10, TraceEvent::Sampled(3))
        .ends(10);
    is(&times, &[("root;app::handler;app::load", 4 + 3), ("root;app::handler;app::save", 3)]);
}

#[test]
fn samples_that_got_lost_leave_the_poll_to_its_sites() {
    let times = trace()
        .at(0, TraceEvent::In)
        .at(10, TraceEvent::Sampled(3))
        .site(10, 0, &[1, 2, 100])
        .at(10, TraceEvent::Out)
        .at(10, TraceEvent::In)
        .ends(10);
    is(&times, &[("root;app::handler", 10)]);
}

#[test]
fn frames_by_hand_stand_between_the_functions_that_opened_them_and_what_these_call() {
    let times = trace()
        .at(0, TraceEvent::In)
        // In `handler`, whose frame reaches from 0 to 16 steps.
        .at(0, TraceEvent::CallAt(HAND, Place(10)))
        .site(5, 0, &[1, 2, 100])
        .at(5, TraceEvent::Leave { depth: 0 })
        .at(5, TraceEvent::Out)
        .woke(30, 0, &[])
        .at(30, TraceEvent::In)
        .at(30, TraceEvent::CallAt(HAND, Place(10)))
        .sample(35, &[1, 3])
        .at(40, TraceEvent::Sampled(1))
        .at(40, TraceEvent::Return { depth: 0 })
        .ends(44);
    is(
        &times,
        &[
            ("root;app::handler;by hand", 5),
            ("root;app::handler;by hand;app::load;tokio::time::sleep;SLEEP", 25),
            ("root;app::handler;by hand;app::save", 10),
            ("root;app::handler", 4),
        ],
    );
}

#[test]
fn what_the_agent_takes_in_a_poll_is_a_part_of_the_function_that_it_was_called_from() {
    let times = trace()
        .at(0, TraceEvent::In)
        .at(0, TraceEvent::CallAt(HAND, Place(300)))
        .sample(1, &[104, 1, 2, 100, 103, 101])
        .sample(2, &[104, 103, 101])
        .sample(3, &[104, 1, 2, 100])
        .at(3, TraceEvent::Sampled(3))
        .at(30, TraceEvent::Out)
        .ends(30);
    is(&times, &[("root;app::handler;app::load;by hand", 20), ("root;by hand", 10)]);
}

#[test]
fn a_span_stands_before_the_function_that_it_is_named_after() {
    let times = trace()
        .at(0, TraceEvent::In)
        .at(0, TraceEvent::CallAt(SPAN, Place(300)))
        .site(0, 0, &[1, 2, 100])
        .at(0, TraceEvent::Pause { depth: 0 })
        .at(0, TraceEvent::Out)
        .at(50, TraceEvent::In)
        .ends(50);
    is(&times, &[("root;app::handler;load;app::load;tokio::time::sleep;SLEEP", 50)]);
}

#[test]
fn a_function_that_is_its_span_has_its_own_time() {
    let times = trace()
        .at(0, TraceEvent::In)
        .at(0, TraceEvent::CallAt(HANDLER, Place(300)))
        .site(5, 0, &[1, 2, 100])
        .at(5, TraceEvent::Pause { depth: 0 })
        .at(5, TraceEvent::Out)
        .at(50, TraceEvent::In)
        .at(50, TraceEvent::CallAt(HANDLER, Place(300)))
        .ends(57);
    is(&times, &[("root;app::handler", 5 + 7), ("root;app::handler;app::load;tokio::time::sleep;SLEEP", 45)]);
}

#[test]
fn a_named_task_answers_by_its_name_and_an_explicit_call_takes_its_part_first() {
    let times = trace()
        .at(0, TraceEvent::In)
        .at(0, TraceEvent::CallOpen(1))
        .site(0, 0, &[1, 2, 101])
        .at(0, TraceEvent::Out)
        .woke_by(100)
        .woke(100, 0, &[999, 5, 101])
        .at(100, TraceEvent::In)
        .at(100, TraceEvent::CallClosed(1))
        .with_call("CALL db", 20, 50)
        .ends(100);
    is(
        &times,
        &[
            ("root;app::handler;app::load;tokio::sync::oneshot;SLEEP;CALL db", 30),
            ("root;app::handler;app::load;tokio::sync::oneshot;SLEEP;CALL writer", 70),
        ],
    );
}

#[test]
fn without_a_site_the_waiting_stays_with_the_frames_by_hand() {
    let times = trace()
        .at(0, TraceEvent::In)
        .at(0, TraceEvent::Call(HAND))
        .at(0, TraceEvent::Leave { depth: 0 })
        .at(0, TraceEvent::Out)
        .woke(30, u32::MAX, &[999, 5])
        .at(40, TraceEvent::In)
        .ends(45);
    is(&times, &[("root", 5), ("root;by hand;SLEEP;CALL app::producer", 30), ("root;by hand;SLEEP;QUEUE", 10)]);
}

#[test]
fn a_wake_during_the_poll_makes_the_whole_wait_a_queue() {
    let times = trace()
        .at(0, TraceEvent::In)
        .site(5, 0, &[1, 2, 100])
        .at(10, TraceEvent::Out)
        .woke(7, 0, &[])
        .at(30, TraceEvent::In)
        .ends(30);
    is(&times, &[("root;app::handler", 10), ("root;app::handler;app::load;tokio::time::sleep;SLEEP;QUEUE", 20)]);
}
