//! In the place of the crate's own: what loom sees.

pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use loom::thread::Thread;

pub(crate) use crate::array_queue::ArrayQueue;

/// Loom has one order for all stores that are sequentially consistent, and none for the value that something is made with:
/// a load might read it after all of them. So that is stored, too.
#[derive(Debug)]
pub(crate) struct AtomicBool(loom::sync::atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        let new = loom::sync::atomic::AtomicBool::new(value);
        new.store(value, Ordering::SeqCst);
        Self(new)
    }
}

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

impl std::ops::Deref for AtomicBool {
    type Target = loom::sync::atomic::AtomicBool;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Shorter waits end by themselves, as if they were over at once; whoever waits for so long waits to be woken.
const FOR_EVER: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) fn park_timeout(time: std::time::Duration) {
    if time < FOR_EVER { loom::thread::yield_now() } else { loom::thread::park() }
}

macro_rules! array_of {
    ($new:expr; $number:expr) => {
        std::array::from_fn::<_, { $number }, _>(|_| $new)
    };
}
pub(crate) use array_of;

macro_rules! statics {
    ($($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        loom::lazy_static! { $($(#[$doc])* static ref $name: $type = $value;)* }
    };
}
pub(crate) use statics;
