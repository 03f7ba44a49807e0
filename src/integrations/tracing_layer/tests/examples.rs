//! One case after the other.

use std::cell::RefCell;
use std::pin::pin;
use std::task::Poll;

use futures::future::{Either, join, select};
use tracing::{Instrument as _, Level, Span, debug_span, info_span, instrument};

use super::*;
use crate::capture::frame::in_frame;
use crate::capture::frame::{FrameExt as _, FrameGuard};
use crate::capture::recorder::Leave;
use crate::capture::tests::rig::{Rig, once, own, poll};
use crate::model::counters::Count;

/// What a traced closure owns.
fn traced(f: impl FnOnce(&Rig)) -> Own {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    scope.in_scope(|| f(&rig));
    short(session.finish())
}

/// What a future owns whose waits pass 10, 100, 1,000 … nanoseconds.
fn waited<F: Future<Output = ()>>(make: impl FnOnce() -> F) -> Own {
    let rig = Rig::new();
    let mut wait = 1;
    let work = make();
    short(rig.trace(work, |_| {
        wait *= 10;
        rig.pass(wait);
    }))
}

async fn twice() {
    once().await;
    once().await;
}

fn enter(span: &Span) {
    span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
}

fn exit(span: &Span) {
    span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
}

#[test]
fn a_span_owns_what_its_own_spans_and_frames_do_not() {
    let owned = traced(|rig| {
        with_layer(|| {
            rig.pass(1);
            info_span!("a").in_scope(|| {
                rig.pass(10);
                in_frame("b", || info_span!("c").in_scope(|| rig.pass(100)));
                rig.pass(20);
            });
        });
    });
    assert_eq!(owned, own([("", 1), ("a", 30), ("a;b;c", 100)]));
}

#[test]
fn a_span_is_called_like_its_function_and_a_path_keeps_its_name() {
    #[instrument]
    fn load(_id: u64) {
        RIG.with_borrow(|rig| rig.as_ref().unwrap().pass(1));
    }
    thread_local!(static RIG: RefCell<Option<Rig>> = const { RefCell::new(None) });
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    RIG.set(Some(rig));
    with_layer(|| {
        scope.in_scope(|| {
            load(7);
            info_span!("shop::Price::ask").in_scope(|| RIG.with_borrow(|rig| rig.as_ref().unwrap().pass(2)));
        })
    });
    let load = concat!(module_path!(), "::load");
    assert_eq!(session.finish(), own([(load, 1), ("shop::Price::ask", 2)]));
    let frame = NAMES.frame(NAMES.intern(load));
    let source = frame.source.unwrap();
    assert!(file!().ends_with(&*source.file) && source.line > 60 && source.line < 70, "{source:?}");
}

#[test]
fn a_wait_stands_under_the_innermost_instrumented_future() {
    with_layer(|| {
        let owned = waited(|| async {
            async {
                once().instrument(info_span!("inner")).await;
                once().await;
            }
            .instrument(info_span!("outer"))
            .await;
            once().await;
        });
        assert_eq!(owned, own([("outer;inner;SLEEP", 10), ("outer;SLEEP", 100), ("SLEEP", 1_000)]));
    });
}

#[test]
fn a_span_that_was_left_for_good_does_not_wait() {
    with_layer(|| {
        let owned = waited(|| async {
            info_span!("parse").in_scope(|| ());
            once().await;
            async { info_span!("check").in_scope(|| ()) }.instrument(info_span!("load")).await;
            once().await;
        });
        assert_eq!(owned, own([("SLEEP", 110)]));
    });
}

#[test]
fn of_joined_futures_the_ones_that_wait_say_where() {
    with_layer(|| {
        let owned = waited(|| {
            let both = join(once().instrument(info_span!("left")), twice().instrument(info_span!("right")));
            async move {
                both.await;
            }
            .instrument(info_span!("both"))
        });
        assert_eq!(owned, own([("both;SLEEP", 10), ("both;right;SLEEP", 100)]));
    });
}

#[test]
fn of_equal_spans_the_ones_that_are_left_still_wait() {
    with_layer(|| {
        let owned = waited(|| async {
            let work = |waits: usize| async move {
                for _ in 0..waits {
                    once().await;
                }
            };
            let spanned = |waits| work(waits).instrument(info_span!("work"));
            futures::future::join_all([spanned(1), spanned(3), spanned(2)]).await;
        });
        assert_eq!(owned, own([("work;SLEEP", 1_110)]));
    });
}

#[test]
fn a_branch_that_is_not_polled_any_more_does_not_wait() {
    with_layer(|| {
        let owned = waited(|| {
            async {
                // Both live in pins of the caller until the end of the match.
                let never = pin!(std::future::pending::<()>().instrument(info_span!("never")));
                match select(never, pin!(once().instrument(info_span!("first")))).await {
                    Either::Left(_) => unreachable!(),
                    Either::Right(_) => twice().instrument(info_span!("then")).await,
                }
                once().await;
            }
            .instrument(info_span!("work"))
        });
        // At the second wait all three were polled, and none is gone.
        assert_eq!(owned, own([("work;SLEEP", 10 + 100 + 10_000), ("work;then;SLEEP", 1_000)]));
    });
}

#[test]
fn a_branch_that_select_drops_does_not_wait_any_more() {
    with_layer(|| {
        let owned = waited(|| {
            async {
                tokio::select! {
                    biased;
                    () = std::future::pending::<()>().instrument(info_span!("never")) => {}
                    () = once().instrument(info_span!("first")) => {}
                }
                once().await;
            }
            .instrument(info_span!("work"))
        });
        assert_eq!(owned, own([("work;SLEEP", 10 + 100)]));
    });
}

#[test]
fn a_span_that_something_else_keeps_open_is_wrong_for_one_wait_at_most() {
    with_layer(|| {
        let owned = waited(|| {
            async {
                let span = info_span!("done");
                let kept = span.clone();
                std::future::ready(()).instrument(span).await;
                once().await;
                once().await;
                drop(kept);
            }
            .instrument(info_span!("work"))
        });
        assert_eq!(owned, own([("work;done;SLEEP", 10), ("work;SLEEP", 100)]));
    });
}

#[test]
fn futures_in_frames_and_in_spans_wait_together() {
    with_layer(|| {
        let owned = waited(|| async {
            let inner = once().in_frame("frame in span").instrument(info_span!("span"));
            inner.in_frame("frame").await;
            join(once().in_frame("left"), once().instrument(info_span!("right"))).await;
        });
        assert_eq!(owned, own([("frame;span;frame in span;SLEEP", 10), ("SLEEP", 100)]));
    });
}

#[test]
fn a_span_below_the_level_or_of_another_target_opens_no_frame() {
    let work = |rig: &Rig| {
        info_span!("a").in_scope(|| rig.pass(1));
        debug_span!("b").in_scope(|| rig.pass(10));
        info_span!(target: "other", "c").in_scope(|| rig.pass(100));
    };
    let owned = |layer| traced(|rig| with(layer, || work(rig)));
    assert_eq!(owned(tracing_layer()), own([("a", 1), ("", 10), ("c", 100)]));
    assert_eq!(owned(tracing_layer().with_max_level(Level::DEBUG)), own([("a", 1), ("b", 10), ("c", 100)]));
    assert_eq!(owned(tracing_layer().with_max_level(LevelFilter::OFF)), own([("", 111)]));
    let targets = "flame_on=debug,other=warn".parse().unwrap();
    assert_eq!(owned(tracing_layer().with_targets(targets)), own([("a", 1), ("b", 10), ("", 100)]));
}

#[test]
fn an_exit_out_of_order_closes_what_is_inside() {
    let owned = with_layer(|| {
        traced(|rig| {
            let (a, b) = (info_span!("a"), info_span!("b"));
            enter(&a);
            enter(&b);
            rig.pass(1);
            exit(&a);
            rig.pass(10);
            exit(&b);
            enter(&b);
            rig.pass(100);
            exit(&b);
            exit(&b);
        })
    });
    assert_eq!(owned, own([("", 10), ("a;b", 1), ("b", 100)]));
}

#[test]
fn a_span_entered_twice_is_two_frames() {
    let owned = with_layer(|| {
        traced(|rig| {
            let a = info_span!("a");
            a.in_scope(|| {
                rig.pass(1);
                a.in_scope(|| rig.pass(10));
                rig.pass(100);
            });
            rig.pass(1_000);
        })
    });
    assert_eq!(owned, own([("", 1_000), ("a", 101), ("a;a", 10)]));
}

#[test]
fn a_frame_that_closes_around_a_span_closes_it() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    with_layer(|| {
        scope.in_scope(|| {
            let (a, b) = (info_span!("a"), info_span!("b"));
            let frame = FrameGuard::enter("frame");
            enter(&a);
            drop(frame);
            exit(&a);
            enter(&a);
            let frame = FrameGuard::enter("frame");
            enter(&b);
            exit(&a);
            drop(frame);
            exit(&b);
            rig.pass(1);
        })
    });
    assert_eq!(session.finish(), own([("", 1)]));
    assert_eq!(rig.count(Count::LateGuards), 1, "only the frame's guard was late");
}

#[test]
fn what_was_entered_before_the_trace_or_in_an_earlier_poll_is_not_in_it() {
    let rig = Rig::new();
    let (mut scope, session) = rig.admit();
    with_layer(|| {
        let (before, earlier) = (info_span!("before"), info_span!("earlier"));
        enter(&before);
        let polls: [&dyn Fn(); 2] = [
            &|| {
                enter(&earlier);
                rig.pass(1);
                exit(&before);
            },
            &|| {
                rig.pass(10);
                exit(&earlier);
                exit(&earlier);
            },
        ];
        for work in polls {
            scope.call_leaving(work, |()| Some(Leave::Waiting));
            rig.pass(100);
        }
        scope.finish();
        exit(&earlier);
    });
    assert_eq!(short(session.finish()), own([("", 10), ("SLEEP", 200), ("earlier", 1)]));
    assert_eq!(rig.count(Count::LateGuards), 0);
}

#[test]
fn an_exit_or_a_close_on_another_thread_does_nothing() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(tracing_layer()));
    tracing::dispatcher::with_default(&dispatch, || {
        scope.in_scope(|| {
            let (a, b) = (info_span!("a"), info_span!("b"));
            enter(&a);
            rig.pass(1);
            let other = Rig::new();
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    tracing::dispatcher::with_default(&dispatch, || {
                        // A trace runs there as well.
                        let (scope, session) = other.admit();
                        scope.in_scope(|| {
                            exit(&a);
                            enter(&b);
                            other.pass(5);
                        });
                        assert_eq!(short(session.finish()), own([("b", 5)]));
                    })
                });
            });
            exit(&b);
            rig.pass(10);
            exit(&a);
            rig.pass(100);
        })
    });
    assert_eq!(short(session.finish()), own([("", 100), ("a", 11)]));
}

#[test]
fn a_span_in_a_trace_that_has_ended_is_nothing() {
    let rig = Rig::new();
    let (scope, session) = rig.admit();
    let stopper = scope.stopper();
    with_layer(|| {
        scope.in_scope(|| {
            info_span!("a").in_scope(|| {
                rig.pass(1);
                stopper.stop();
                rig.pass(10);
                info_span!("b").in_scope(|| rig.pass(100));
            });
        })
    });
    assert_eq!(short(session.finish()), own([("a", 1)]));
}

#[test]
fn spans_of_a_trace_within_a_trace_go_to_the_inner_one() {
    let (outer, inner) = (Rig::new(), Rig::new());
    let (outer_scope, outer_session) = outer.admit();
    let (inner_scope, inner_session) = inner.admit();
    with_layer(|| {
        outer_scope.in_scope(|| {
            let a = info_span!("a");
            a.in_scope(|| {
                outer.pass(1);
                inner_scope.in_scope(|| {
                    info_span!("b").in_scope(|| inner.pass(2));
                    exit(&a);
                    inner.pass(3);
                });
                outer.pass(10);
            });
            outer.pass(100);
        })
    });
    assert_eq!(short(inner_session.finish()), own([("", 3), ("b", 2)]));
    assert_eq!(short(outer_session.finish()), own([("", 100), ("a", 11)]));
}

#[test]
fn thousands_of_spans_that_are_never_closed_stay_within_their_bound() {
    let rig = Rig::new();
    let (mut scope, session) = rig.admit();
    with_layer(|| {
        let spans: Vec<Span> = (0..5_000).map(|_| info_span!("kept")).collect();
        let exit_all = || spans.iter().for_each(|span| span.in_scope(|| ()));
        scope.call_leaving(exit_all, |()| Some(Leave::Waiting));
        rig.pass(7);
        let close_all = || {
            exit_all();
            for span in &spans {
                span.with_subscriber(|(id, dispatch)| dispatch.try_close(id.clone())).unwrap();
            }
        };
        scope.call_leaving(close_all, |()| Some(Leave::Waiting));
        rig.pass(90);
        scope.finish();
        std::mem::forget(spans);
    });
    assert_eq!(short(session.finish()), own([("kept;SLEEP", 7), ("SLEEP", 90)]));
}

#[test]
fn where_nothing_is_traced_a_span_changes_nothing() {
    let rig = Rig::new();
    with_layer(|| {
        let mut work = pin!(async { once().await }.instrument(info_span!("a")));
        assert_eq!(poll(work.as_mut()), Poll::Pending);
        assert_eq!(poll(work.as_mut()), Poll::Ready(()));
    });
    assert!(rig.take_up().is_none());
}
