//! Two threads at one trace.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::rig::{Rig, chunks, limits};
use crate::capture::dice::{RateLimit, UnitDice};
use crate::capture::reader::LaneReader;
use crate::capture::recorder::{Leave, Recorder};
use crate::capture::trace::SharedTrace;
use crate::model::config::Limits;
use crate::model::counters::Count;
use crate::model::frame::FrameId;
use crate::model::trace_event::{EndReason, TraceEvent};

/// Far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A recorder of its own, and what its session would get.
fn recorder(rig: &Rig) -> (Box<Recorder>, Arc<SharedTrace>) {
    let (scope, session) = rig.admit();
    (scope.into_recorder().unwrap(), session.trace)
}

/// Writes frames whose ids count up from the first of `ids`, poll after poll, until they, the trace or `is_over` end
/// it; the id that would have been next.
fn write(mut recorder: Box<Recorder>, ids: Range<u32>, is_over: &AtomicBool) -> u32 {
    let mut next = ids.start;
    while next < ids.end && !is_over.load(Ordering::Relaxed) && recorder.enter_poll() {
        for _ in 0..50 {
            let token = recorder.enter_frame(FrameId(next), 0);
            recorder.exit_frame(token);
            next += 1;
        }
        recorder.leave_poll(Leave::Waiting);
    }
    recorder.end(EndReason::Done);
    next
}

/// Reads until the end, as a session does; checks what comes on its way and returns the ids of frames.
fn read(trace: &SharedTrace, mut each_turn: impl FnMut(usize)) -> Vec<u32> {
    let (mut reader, mut ids, mut open) = (LaneReader::default(), Vec::new(), None);
    loop {
        let has_ended = trace.ended().is_some();
        let count = reader.read(trace, 100, |word, _| match TraceEvent::from_word(word) {
            Some(TraceEvent::Call(id)) => {
                assert_eq!(open.replace(id.0), None, "frames do not nest here");
                ids.push(id.0);
            }
            Some(TraceEvent::Return { depth: 0 }) => assert!(open.take().is_some(), "a frame returns once"),
            Some(TraceEvent::Starved) => open = None,
            Some(TraceEvent::In | TraceEvent::Out) => {}
            other => panic!("{word:x} is {other:?}, which nobody wrote"),
        });
        each_turn(ids.len());
        if count == 0 {
            if has_ended {
                return ids;
            }
            std::thread::yield_now();
        }
    }
}

/// Traces one after another share the pool's few chunks; each has ids of its own.
#[test]
fn a_reader_gets_every_event_once_in_order_and_none_of_an_earlier_trace() {
    const IDS: u32 = 1_000_000;
    let rig = Rig::with(Limits {
        trace_buffer_size_bytes: chunks(3),
        max_capture_bytes: chunks(32),
        max_events: usize::MAX,
        ..limits()
    });
    for round in 0..60_u32 {
        let (recorder, trace) = recorder(&rig);
        let first = 10 + round * IDS;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(recorder, first..u32::MAX, &is_over));
            let ids = read(&trace, |count| {
                if count > 3_000 {
                    // In every third round it ends from here, in the middle of whatever it does.
                    match round % 3 {
                        0 => is_over.store(true, Ordering::Relaxed),
                        1 => drop(trace.end(EndReason::Stopped, 1)),
                        _ => {
                            trace.end(EndReason::Truncated, 1);
                            trace.close();
                        }
                    }
                }
            });
            let end = writer.join().unwrap();
            assert!(ids.is_sorted_by(|one, other| one < other), "once, and in order");
            assert!(ids.iter().all(|id| (first..end).contains(id)), "written in this trace");
            assert!(ids.len() > 3_000);
        });
        trace.close();
        drop(trace);
        rig.core.inbox.drain().for_each(drop);
    }
    rig.core.release_idle();
    assert_eq!(rig.core.budget.used(), 0);
    assert_eq!(rig.core.permits.active(), 0);
}

#[test]
fn with_room_for_all_a_reader_misses_nothing() {
    const IDS: Range<u32> = 10..100_010;
    // Two events a frame, and two for every fifty: room for all, should the reader never get its turn.
    let rig = Rig::with(Limits { trace_buffer_size_bytes: chunks(1_000), ..limits() });
    let (recorder, trace) = recorder(&rig);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(recorder, IDS, &AtomicBool::new(false)));
        let ids = read(&trace, |_| ());
        assert_eq!(writer.join().unwrap(), IDS.end);
        // Not `assert_eq`, which would print them all.
        assert!(ids.iter().copied().eq(IDS), "{} of {} frames", ids.len(), IDS.len());
    });
    assert_eq!(rig.count(Count::Starved), 0);
}

/// The session's protocol: acknowledge, then read. Each number is waited for, so a lost signal would be seen.
#[test]
fn a_signal_is_never_lost_between_an_acknowledgement_and_a_read() {
    const LAST: u64 = 20_000;
    let rig = Rig::new();
    let (recorder, trace) = recorder(&rig);
    let (written, seen) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Instant::now() + PATIENCE;
            while seen.load(Ordering::Relaxed) < LAST {
                assert!(Instant::now() < deadline, "a signal is lost");
                if rig.core.inbox.drain().count() == 0 {
                    std::thread::yield_now();
                    continue;
                }
                trace.acknowledge();
                seen.store(written.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        for number in 1..=LAST {
            written.store(number, Ordering::Relaxed);
            trace.signal();
            while seen.load(Ordering::Relaxed) < number && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    });
    drop(recorder);
}

#[test]
fn units_that_are_left_out_are_counted_while_threads_come_and_go() {
    let dice = UnitDice::new(RateLimit::from_rate(0.0));
    for _ in 0..50 {
        std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(|| (0..1_000).for_each(|_| assert!(dice.roll().is_none()))));
            // Reading retires counters while their threads end.
            let before = dice.sum();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(dice.sum() >= before);
        });
    }
    assert_eq!(dice.sum(), 50 * 8 * 1_000);
}
