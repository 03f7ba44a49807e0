//! What happens when there is no more room: detail is lost, time is not.

use super::rig::{Rig, Session, chunks, limits, once, own};
use crate::capture::admission;
use crate::capture::chunk::CHUNK_EVENTS;
use crate::capture::frame::{FrameExt, in_frame};
use crate::capture::routes::{CallMessage, CallStep};
use crate::capture::scope::Scope;
use crate::model::config::Limits;
use crate::model::counters::Count;

/// Frames that fill this many chunks, in one poll of a nanosecond each.
fn fill(rig: &Rig, chunks: usize) {
    for _ in 0..chunks * CHUNK_EVENTS / 2 {
        in_frame("fill", || rig.pass(1));
    }
}

fn poll_once(scope: &mut Scope, work: impl FnOnce()) {
    scope.poll_with(&mut std::task::Context::from_waker(std::task::Waker::noop()), |_| work());
}

fn total(session: Session) -> u64 {
    session.finish().values().sum()
}

#[test]
fn the_agent_is_woken_for_several_full_chunks_at_once() {
    let rig = Rig::new();
    let (mut scope, session) = rig.admit();
    let told = || rig.core.inbox.drain().count();
    // In and Out beside them: into the fifteenth chunk.
    poll_once(&mut scope, || fill(&rig, 14));
    assert_eq!(told(), 0);
    poll_once(&mut scope, || fill(&rig, 1));
    assert_eq!(told(), 1, "fifteen are full");
    session.trace.acknowledge();
    poll_once(&mut scope, || fill(&rig, 15));
    assert_eq!(told(), 0);
    scope.finish();
    assert_eq!(told(), 1, "at its end, however little there is");
    assert_eq!(total(session), 30 * CHUNK_EVENTS as u64 / 2);
}

/// `told` while the agent looks by itself: whether that has woken it.
fn wakes_one_that_looks(rig: &Rig, told: impl FnOnce()) -> bool {
    rig.core.inbox.drain().for_each(drop);
    rig.core.inbox.start_looking();
    told();
    rig.core.inbox.is_woken()
}

#[test]
fn an_end_waits_for_the_agents_look_unless_permits_are_scarce() {
    for (max_active_traces, is_woken) in [(8, true), (9, false)] {
        let rig = Rig::with(Limits { max_active_traces, ..limits() });
        let admit = |identifier| admission::unit(&rig.core, "unit", || identifier);
        let mut scopes = ["a", "b", "c", "d"].map(admit);
        scopes.iter_mut().for_each(|scope| poll_once(scope, || ()));
        let [first, _others @ ..] = scopes;
        assert_eq!(wakes_one_that_looks(&rig, || first.finish()), is_woken, "four of {max_active_traces}");
    }
}

#[test]
fn full_chunks_and_many_calls_do_not_wait_for_it() {
    let rig = Rig::new();
    let (mut scope, session) = rig.admit();
    assert!(wakes_one_that_looks(&rig, || poll_once(&mut scope, || fill(&rig, 16))));
    let call = |call| CallMessage { call, step: CallStep::Send, raw: 1 };
    let deliver =
        |calls: std::ops::Range<u32>| assert!(calls.into_iter().all(|number| session.trace.deliver(call(number))));
    session.trace.acknowledge();
    assert!(!wakes_one_that_looks(&rig, || deliver(0..512)));
    assert!(wakes_one_that_looks(&rig, || deliver(512..513)), "half of what may wait");
    deliver(513..1_024);
    assert!(!session.trace.deliver(call(1_024)), "no more than may wait");
}

#[test]
fn the_agent_is_woken_at_once_where_room_runs_short() {
    for short in
        [Limits { trace_buffer_size_bytes: chunks(5), ..limits() }, Limits { max_capture_bytes: chunks(5), ..limits() }]
    {
        let rig = Rig::with(short);
        let (mut scope, session) = rig.admit();
        poll_once(&mut scope, || fill(&rig, 2));
        assert_eq!(rig.core.inbox.drain().count(), 1, "of five chunks three are in use");
        scope.finish();
        assert_eq!(total(session), CHUNK_EVENTS as u64);
    }
}

#[test]
fn frames_that_are_too_deep_stay_with_the_deepest_that_is_kept() {
    let rig = Rig::with(Limits { max_stack_depth: 2, ..limits() });
    let (scope, session) = rig.admit();
    scope.in_scope(|| {
        in_frame("a", || {
            in_frame("b", || {
                in_frame("c", || in_frame("d", || rig.pass(1)));
                rig.pass(2);
                in_frame("e", || rig.pass(4));
            });
            in_frame("f", || rig.pass(8));
        });
    });
    assert_eq!(session.finish(), own([("a;b", 7), ("a;f", 8)]));
    assert_eq!((rig.count(Count::SuppressedDepth), rig.count(Count::SuppressedFrames)), (3, 0));
}

#[test]
fn past_max_events_polls_are_still_told_apart_from_sleeps() {
    // In and Out are free: the two frames' four events are all.
    let rig = Rig::with(Limits { max_events: 4, ..limits() });
    let work = async {
        in_frame("a", || in_frame("b", || rig.pass(1)));
        once().in_frame("c").await;
        in_frame("d", || rig.pass(2));
    };
    assert_eq!(rig.trace(work, |_| rig.pass(10)), own([("", 2), ("SLEEP", 10), ("a;b", 1)]));
    assert_eq!((rig.count(Count::Degraded), rig.count(Count::SuppressedFrames)), (1, 3));
}

#[test]
fn a_future_that_was_waiting_when_the_events_ran_out_does_not_wait_for_ever() {
    // Call and Leave of "first" are all.
    let rig = Rig::with(Limits { max_events: 2, ..limits() });
    let work = async {
        once().in_frame("first").await;
        once().in_frame("second").await;
    };
    let mut waits = [10, 100].into_iter();
    let owned = rig.trace(work, |_| rig.pass(waits.next().unwrap()));
    assert_eq!(owned, own([("first;SLEEP", 10), ("SLEEP", 100)]));
}

#[test]
fn a_trace_that_is_not_read_runs_out_of_its_buffer_and_goes_on_at_the_next_poll() {
    let rig = Rig::with(Limits { trace_buffer_size_bytes: chunks(4), ..limits() });
    let (mut scope, mut session) = rig.admit();
    poll_once(&mut scope, || fill(&rig, 8));
    assert_eq!(rig.count(Count::Starved), 1);
    let left_out = rig.count(Count::SuppressedFrames);
    assert!(left_out >= 3 * CHUNK_EVENTS as u64 / 2, "{left_out}");
    rig.pass(7);
    session.read();
    poll_once(&mut scope, || in_frame("after", || rig.pass(5)));
    rig.pass(3);
    scope.finish();
    let owned = session.finish();
    assert_eq!(owned.values().sum::<u64>(), 8 * CHUNK_EVENTS as u64 / 2 + 15);
    assert_eq!(owned["fill"] + left_out, 8 * CHUNK_EVENTS as u64 / 2);
    assert_eq!((owned["after"], owned["SLEEP"]), (5, 3), "the first sleep found no room and is the root's");
    assert_eq!(rig.count(Count::SuppressedFrames), left_out);
}

#[test]
fn one_trace_can_use_up_what_all_may_have_and_the_next_is_refused() {
    let rig = Rig::with(Limits { max_capture_bytes: chunks(8), trace_buffer_size_bytes: chunks(16), ..limits() });
    let (mut scope, mut session) = rig.admit();
    poll_once(&mut scope, || fill(&rig, 16));
    assert_eq!(rig.count(Count::Starved), 1);
    assert!(rig.core.budget.used() <= rig.core.budget.max());
    assert!(!crate::capture::admission::unit(&rig.core, "unit", || "other").is_sampled());
    assert_eq!((rig.count(Count::SkippedMemory), rig.core.permits.active()), (1, 1));
    session.read();
    scope.finish();
    assert_eq!(total(session), 16 * CHUNK_EVENTS as u64 / 2);
    drop(rig.admit());
}

#[test]
fn what_a_frame_without_room_calls_is_not_taken_for_another_path() {
    // The root, "b" and "c".
    let rig = Rig::with(Limits { max_stacks: 3, ..limits() });
    let (scope, session) = rig.admit();
    scope.in_scope(|| {
        in_frame("b", || rig.pass(1));
        in_frame("c", || rig.pass(2));
        in_frame("x", || {
            rig.pass(4);
            in_frame("b", || rig.pass(8));
            in_frame("y", || in_frame("c", || rig.pass(16)));
        });
        in_frame("b", || rig.pass(32));
    });
    assert_eq!(session.finish(), own([("", 28), ("b", 33), ("c", 2)]));
}
