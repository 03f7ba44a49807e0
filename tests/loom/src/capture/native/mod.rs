#[path = "../../../../../src/capture/native/bell.rs"]
mod bell;
pub(crate) mod bell_model;
#[path = "../../../../../src/capture/native/registers.rs"]
pub(crate) mod registers;
pub(crate) mod sampler;
#[path = "../../../../../src/capture/native/waker.rs"]
pub(crate) mod waker;

pub(crate) mod fork {
    pub(crate) fn is_forked_child() -> bool {
        false
    }
}

pub(crate) mod thread_stack {
    pub(crate) fn bounds() -> Option<std::ops::Range<usize>> {
        Some(0x1000..0x2000)
    }
}
