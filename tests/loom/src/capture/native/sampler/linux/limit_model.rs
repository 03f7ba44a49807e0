//! Handlers of several threads, and one limit.

use std::sync::Arc;

use loom::thread;

use super::limit::Limit;
use crate::safety::atomic::AtomicU64;

/// One sample's part of a second.
const COST: u64 = 200_000;

pub(crate) fn the_last_sample() {
    let limit = Arc::new(Limit(AtomicU64::new(0)));
    // Room for one.
    let now = COST;
    let others = [(); 2].map(|()| {
        let limit = limit.clone();
        thread::spawn(move || limit.allows(now))
    });
    let mut allowed = usize::from(limit.allows(now));
    for other in others {
        allowed += usize::from(other.join().unwrap());
    }
    assert_eq!(allowed, 1);
    assert!(limit.allows(now + COST) && !limit.allows(now + COST));
}
