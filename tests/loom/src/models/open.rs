//! A trace that is closed while a route to it is made.

use std::sync::Arc;

use loom::thread;

use crate::capture::open::Open;
use crate::turn::Turn;

struct Trace {
    open: Open,
    /// The map from labels to traces has its.
    has_route: Turn<bool>,
}

pub(crate) fn a_route_and_the_end() {
    let trace = Arc::new(Trace { open: Open::new(), has_route: Turn::new(false) });
    let recorded = trace.clone();
    let recorder = thread::spawn(move || {
        if !recorded.open.route(|| *recorded.has_route.take() = true) {
            *recorded.has_route.take() = false;
        }
    });
    if trace.open.close() {
        *trace.has_route.take() = false;
    }
    recorder.join().unwrap();
    assert!(!*trace.has_route.take(), "it is held for ever");
}
