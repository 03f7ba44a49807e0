#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::Read as _;
use std::sync::atomic::AtomicBool;

use prost::Message as _;

use super::*;
use crate::encode::proto::perftools::profiles as pb;
use crate::model::profile::NO_PARENT;
use crate::model::time::Nanos;

/// A root with `load` and a `SLEEP` under it that explains itself by a call; 6,001,500 ns in all.
pub(crate) fn profile() -> Profile {
    let frames = ["axum.request GET /a;b", "load", "SLEEP", "CALL postgres {:query, \"...\"}"];
    let node = |parent, frame, own| ProfileNode { parent, frame, own: Nanos(own) };
    Profile {
        frames: frames.map(Into::into).to_vec(),
        nodes: vec![node(NO_PARENT, 0, 1_000_700), node(0, 1, 2_000_000), node(1, 2, 0), node(2, 3, 3_000_800)],
    }
}

pub(crate) fn parts(number: u128) -> TraceParts {
    TraceParts {
        id: TraceId::from_random(number),
        event_name: "axum.request".into(),
        identifier: "GET /a;b".into(),
        // 2026-11-22T19:51:36.123Z
        captured_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_377_096_123),
        profile: profile(),
        origin: Arc::new(Origin { service: "shop".into(), environment: "test".into(), release: "1.2".into() }),
        truncated: false,
        thinned: false,
        reservation: None,
        on_given_up: None,
    }
}

pub(crate) fn trace(number: u128) -> Trace {
    Trace::new(parts(number))
}

pub(crate) fn batch(count: u128) -> TraceBatch {
    TraceBatch::new((0..count).map(trace).collect())
}

#[test]
fn own_times_of_the_paths_sum_to_the_duration() {
    let trace = trace(1);
    assert_eq!(trace.duration(), Duration::from_nanos(6_001_500));
    assert_eq!(trace.paths().map(|(_, own)| own).sum::<Duration>(), trace.duration());
    let paths = trace.paths().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(
        paths,
        [
            "axum.request GET /a:b",
            "axum.request GET /a:b;load",
            "axum.request GET /a:b;load;SLEEP;CALL postgres {:query, \"...\"}",
        ]
    );
}

#[test]
fn a_frame_is_found_by_its_name_or_its_first_words() {
    let trace = trace(1);
    for there in ["load", "SLEEP", "CALL postgres", "CALL", "axum.request", "axum.request GET /a;b"] {
        assert!(trace.contains(there), "{there}");
    }
    for not_there in ["loa", "load;SLEEP", "postgres", "CALL post"] {
        assert!(!trace.contains(not_there), "{not_there}");
    }
}

#[test]
fn the_profile_says_where_it_comes_from_and_what_is_missing() {
    let trace = Trace::new(TraceParts { truncated: true, thinned: true, ..parts(1) });
    let profile = pb::Profile::decode(&*trace.pprof()).unwrap();
    let text = |index: &i64| profile.string_table[usize::try_from(*index).unwrap()].as_str();
    let comments = profile.comment.iter().map(text).collect::<Vec<_>>();
    assert_eq!(comments, ["service=shop", "environment=test", "release=1.2", "truncated", "thinned"]);
    assert_eq!(profile.time_nanos, 1_795_377_096_123_000_000);
    assert_eq!(profile.duration_nanos, 6_001_500);
    assert_eq!(profile.sample.iter().map(|sample| sample.value[0]).sum::<i64>(), 6_001);
    assert_eq!(self::trace(1).comments().len(), 3);
}

#[test]
fn the_compressed_profile_is_the_profile() {
    let trace = trace(1);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*trace.pprof_gz()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, trace.pprof());
    assert_eq!(trace.encoded_bytes(), unpacked.len() as u64);
    assert_eq!(TraceBatch::new(vec![trace.clone(), trace]).encoded_bytes(), 2 * unpacked.len() as u64);
}

#[test]
fn a_reservation_lasts_as_long_as_the_last_clone() {
    struct Share(Arc<AtomicBool>);
    impl Drop for Share {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let released = Arc::new(AtomicBool::new(false));
    let reservation: Reservation = Box::new(Share(released.clone()));
    let trace = Trace::new(TraceParts { reservation: Some(reservation), ..parts(1) });
    let batch = TraceBatch::new(vec![trace.clone()]);
    drop(trace);
    assert!(!released.load(Ordering::Relaxed));
    drop(batch);
    assert!(released.load(Ordering::Relaxed));
}

#[test]
fn the_weight_grows_with_names_and_nodes() {
    let small = trace(1).weight_bytes();
    let mut parts = parts(1);
    parts.profile.frames.push("x".repeat(10_000).into());
    parts.profile.nodes.reserve_exact(1_000);
    let weight = Trace::new(parts).weight_bytes();
    assert!(weight > small + 10_000 + 900 * size_of::<ProfileNode>(), "{small} {weight}");
}

#[test]
fn the_debug_form_of_a_trace_is_short() {
    assert!(format!("{:?}", trace(1)).len() < 300);
}
