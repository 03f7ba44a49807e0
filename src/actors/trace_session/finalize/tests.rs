#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::actors::rig::{parts, stats, unit};
use crate::capture::core::InboxItem;
use crate::model::call_tree::NodeId;

const BYTES: u64 = 4_096;

/// A trace of so many nodes whose window is claimed and that holds [`BYTES`] of memory.
fn job(parts: &Parts, nodes: usize) -> Box<FinalizeJob> {
    let core = &parts.core;
    core.dedupe.set_window(Duration::from_secs(60));
    unit(parts).in_scope(|| ());
    let told = core.inbox.drain().map(InboxItem::into_trace);
    let trace = told.chain(core.fresh.take_all()).find(|trace| trace.take_up()).unwrap();
    let mut tree = CallTree::new(2 * SMALL);
    let mut names = OwnNames::default();
    for number in 1..nodes {
        let node = tree.child(NodeId::ROOT, names.frame(format!("function {number}").into()));
        tree.add_own(node, Nanos(1));
    }
    Box::new(FinalizeJob {
        claim: HeldClaim::new(core.dedupe.claim(trace.identifier_key(), core.now())),
        memory: core.budget.try_reserve(BYTES),
        trace,
        tree,
        #[cfg(native_capture)]
        native: None,
        names,
        captured_at: SystemTime::UNIX_EPOCH,
        duration: Nanos(nodes as u64 - 1),
        reason: EndReason::Done,
        function_length_threshold: 0.0,
        origin: parts.origin.clone(),
    })
}

fn has_window(parts: &Parts, trace: &SharedTrace) -> bool {
    parts.core.dedupe.is_closed(trace.identifier_key(), parts.core.now())
}

#[test]
fn a_small_trace_is_finished_at_once_and_a_larger_one_is_given_back() {
    let (small, large) = (parts(|_| ()), parts(|_| ()));
    assert!(run_small(&small, job(&small, SMALL)).is_ok());
    assert_eq!(small.traces.stats().waiting, 1);
    let larger = run_small(&large, job(&large, SMALL + 1)).unwrap_err();
    assert_eq!((larger.tree.nodes(), large.traces.stats().produced), (SMALL + 1, 0));
}

/// The check that fails here is one of debug builds.
#[cfg(debug_assertions)]
#[test]
fn a_small_trace_that_cannot_be_finished_is_counted_and_gives_back_what_it_held() {
    let parts = parts(|_| ());
    let mut job = job(&parts, 3);
    let (trace, used) = (job.trace.clone(), parts.core.budget.used());
    assert!(has_window(&parts, &trace));
    job.duration = Nanos(9);
    assert!(run_small(&parts, job).is_ok());
    assert_eq!((stats(&parts).finalize_failed, parts.traces.stats().produced), (1, 0));
    assert!(!has_window(&parts, &trace), "the next trace of its kind may be shipped");
    assert_eq!(parts.core.budget.used(), used - BYTES);
}
