pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}
#[path = "../../../../src/capture/wakes.rs"]
pub(crate) mod wakes;
