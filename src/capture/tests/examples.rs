//! Who owns which time, one case after the other.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::join;

use super::rig::{Rig, once, own, poll};
use crate::capture::admission;
use crate::capture::call::call_named;
use crate::capture::chunk::CHUNK_EVENTS;
use crate::capture::current::current_trace_id;
use crate::capture::frame::{FrameExt, FrameGuard, in_frame};
use crate::capture::recorder::Leave;
use crate::capture::scope::Scope;
use crate::model::counters::Count;
use crate::model::trace_event::EndReason;

#[test]
fn a_frame_owns_what_its_own_frames_do_not() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    rig.pass(1);
    scope.in_scope(|| {
        rig.pass(2);
        in_frame("a", || {
            rig.pass(10);
            in_frame("b", || rig.pass(100));
            rig.pass(20);
        });
        in_frame("b", || rig.pass(1_000));
        rig.pass(4);
    });
    assert_eq!(session.reason(), Some(EndReason::Done));
    assert_eq!(session.finish(), own([("", 7), ("a", 30), ("a;b", 100), ("b", 1_000)]));
    assert_eq!(rig.core.permits.active(), 0);
}

#[test]
fn a_sleep_stands_under_the_innermost_pending_future() {
    let rig = Rig::new();
    let work = async {
        once().await;
        async {
            rig.pass(1);
            once().in_frame("inner").await;
            once().await;
            rig.pass(2);
        }
        .in_frame("outer")
        .await;
    };
    let mut waits = [10, 100, 1_000].into_iter();
    let owned = rig.trace(work, |_| rig.pass(waits.next().unwrap()));
    assert_eq!(owned, own([("SLEEP", 10), ("outer", 3), ("outer;SLEEP", 1_000), ("outer;inner;SLEEP", 100)]));
}

#[test]
fn two_pending_futures_sleep_under_what_they_share() {
    let rig = Rig::new();
    let both = async {
        join(
            once().in_frame("left"),
            async {
                once().await;
                once().await;
            }
            .in_frame("right"),
        )
        .await;
    };
    let mut waits = [10, 100].into_iter();
    let owned = rig.trace(both.in_frame("both"), |_| rig.pass(waits.next().unwrap()));
    assert_eq!(owned, own([("both;SLEEP", 10), ("both;right;SLEEP", 100)]));
}

#[test]
fn a_future_that_is_dropped_does_not_wait_any_more() {
    let rig = Rig::new();
    let work = async {
        {
            let mut loser = pin!(std::future::pending::<()>().in_frame("loser"));
            assert!(futures::poll!(loser.as_mut()).is_pending());
            once().in_frame("winner").await;
        }
        once().in_frame("next").await;
    };
    let mut waits = [10, 100].into_iter();
    let owned = rig.trace(work, |_| rig.pass(waits.next().unwrap()));
    assert_eq!(owned, own([("SLEEP", 10), ("next;SLEEP", 100)]));
}

#[test]
fn a_frame_ends_with_its_poll_and_its_late_guard_does_nothing() {
    let rig = Rig::new();
    let work = async {
        let guard = FrameGuard::enter("held");
        rig.pass(1);
        once().await;
        rig.pass(2);
        in_frame("next", || {
            drop(guard);
            rig.pass(4);
        });
    };
    assert_eq!(rig.trace(work, |_| rig.pass(10)), own([("", 2), ("SLEEP", 10), ("held", 1), ("next", 4)]));
    assert_eq!(rig.count(Count::LateGuards), 1);
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    scope.in_scope(|| {
        let outer = FrameGuard::enter("outer");
        let inner = FrameGuard::enter("inner");
        rig.pass(1);
        drop(outer);
        rig.pass(2);
        let other = FrameGuard::enter("other");
        let deep = FrameGuard::enter("deep");
        rig.pass(4);
        // Its place is now another frame's. That one goes, which costs detail and no time.
        drop(inner);
        rig.pass(8);
        drop(deep);
        drop(other);
        rig.pass(16);
    });
    let owned = session.finish();
    assert_eq!(owned.values().sum::<u64>(), 31);
    assert_eq!(owned["outer;inner"], 1);
    assert_eq!(owned["other;deep"], 4);
}

#[test]
fn a_guard_of_another_trace_closes_nothing() {
    let (one, two) = (Rig::new(), Rig::new());
    let ((scope, session), (inner_scope, inner_session)) = (one.admit(), two.admit());
    let outer_id = scope.trace_id();
    scope.in_scope(|| {
        let guard = FrameGuard::enter("outer");
        inner_scope.in_scope(|| {
            assert_ne!(current_trace_id(), outer_id);
            let _frame = FrameGuard::enter("inner");
            drop(guard);
            two.pass(5);
        });
        assert_eq!(current_trace_id(), outer_id);
        one.pass(3);
    });
    assert_eq!(current_trace_id(), None);
    assert_eq!(two.count(Count::LateGuards), 1);
    assert_eq!(inner_session.finish(), own([("inner", 5)]));
    assert_eq!(session.finish(), own([("outer", 3)]));
}

#[test]
fn a_panic_ends_the_trace_and_puts_back_what_was_in_force() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scope.in_scope(|| {
            let _frame = FrameGuard::enter("fragile");
            rig.pass(7);
            std::panic::resume_unwind(Box::new(()));
        });
    }));
    assert!(panicked.is_err());
    assert_eq!((session.reason(), current_trace_id()), (Some(EndReason::Panicked), None));
    assert_eq!(session.finish(), own([("fragile", 7)]));
}

#[test]
fn a_slow_client_is_peer_and_not_measured() {
    let rig = Rig::new();
    let (mut scope, session) = rig.admit();
    scope.call_leaving(|| rig.pass(1), |()| Some(Leave::Waiting));
    rig.pass(10);
    scope.call_leaving(|| rig.pass(2), |()| Some(Leave::Peer));
    rig.pass(100);
    scope.call_leaving(|| rig.pass(4), |()| Some(Leave::Peer));
    rig.pass(1_000);
    scope.finish();
    let (end, _) = session.trace.ended().unwrap();
    assert_eq!(session.trace.measured(end).0, 17);
    assert_eq!(session.finish(), own([("", 7), ("SLEEP", 10), ("PEER", 1_100)]));
}

#[test]
fn a_stopper_ends_the_trace_at_once_while_the_work_goes_on() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    let stopper = scope.stopper();
    scope.in_scope(|| {
        in_frame("before", || {
            rig.pass(1);
            stopper.stop();
            stopper.clone().stop();
            rig.pass(10);
        });
        in_frame("after", || rig.pass(100));
        for _ in 0..10_000 {
            in_frame("after", || ());
        }
    });
    assert_eq!(session.reason(), Some(EndReason::Stopped));
    assert!(rig.core.budget.used() <= 2 * super::rig::chunks(1) as u64, "it took no more chunks");
    assert_eq!(session.finish(), own([("before", 1)]));
    assert_eq!(rig.count(Count::SuppressedFrames), 0, "no budget was used up");
}

#[test]
fn a_sleeping_trace_is_ended_without_its_task() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    let stopper = scope.stopper();
    let mut traced = pin!(scope.run(once().in_frame("asleep")));
    assert!(poll(traced.as_mut()).is_pending());
    rig.pass(9);
    stopper.stop();
    assert_eq!(session.finish(), own([("asleep;SLEEP", 9)]));
    assert_eq!(poll(traced.as_mut()), Poll::Ready(()));
    assert_eq!(rig.core.permits.active(), 0);
}

#[test]
fn work_that_is_dropped_is_cancelled() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    {
        let mut traced = pin!(scope.run(once().in_frame("asleep")));
        assert!(poll(traced.as_mut()).is_pending());
        rig.pass(3);
    }
    assert_eq!(session.reason(), Some(EndReason::Cancelled));
    assert_eq!(session.finish(), own([("asleep;SLEEP", 3)]));
}

#[test]
fn a_scope_in_which_nothing_ran_is_discarded_by_its_thread() {
    let rig = Rig::new();
    for end in [drop as fn(Scope), Scope::finish] {
        end(crate::capture::admission::unit(&rig.core, "unit", || "test"));
        assert!(rig.take_up().is_none());
    }
    assert_eq!((rig.count(Count::Started), rig.count(Count::NeverRun)), (2, 2));
    assert_eq!((rig.core.permits.active(), rig.count(Count::Done), rig.count(Count::Cancelled)), (0, 0, 0));
}

#[test]
fn a_short_trace_is_discarded_by_its_thread_however_many_events_it_has() {
    const CALLS: usize = 40 * CHUNK_EVENTS;
    let rig = Rig::above(Duration::from_secs(1));
    admission::unit(&rig.core, "unit", || "test").in_scope(|| (0..CALLS).for_each(|_| in_frame("f", || ())));
    assert!(rig.take_up().is_none(), "not even where its session was asked for");
    assert_eq!((rig.count(Count::BelowThreshold), rig.count(Count::Done)), (1, 1));
    // Each call and its return, and the beginning.
    assert_eq!(rig.count(Count::Events), 2 * CALLS as u64 + 1);
    rig.core.release_idle();
    assert_eq!((rig.core.permits.active(), rig.core.budget.used()), (0, 0));
}

#[test]
fn the_identifier_is_set_once() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    assert_eq!(session.trace.identifier(), "test");
    assert!(session.trace.set_identifier("GET /users/{id}".into()));
    assert!(!session.trace.set_identifier("another".into()));
    assert_eq!(session.trace.identifier(), "GET /users/{id}");
    drop(scope);
}

#[test]
fn a_call_after_the_end_leaves_no_route_behind() {
    let rig = Rig::new();
    let (scope, mut session) = rig.admit();
    let stopper = scope.stopper();
    scope.in_scope(|| {
        stopper.stop();
        session.read();
        session.trace.close();
        drop(call_named("late", &(), once()));
    });
    assert_eq!(rig.core.routes.len(), 0);
    let weak = std::sync::Arc::downgrade(&session.trace);
    drop(session);
    rig.core.inbox.drain().for_each(drop);
    assert!(weak.upgrade().is_none(), "nothing keeps the trace");
}
