pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}
#[path = "../../../../src/capture/rings.rs"]
pub(crate) mod rings;
#[path = "../../../../src/capture/wakes.rs"]
pub(crate) mod wakes;
