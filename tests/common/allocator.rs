//! An allocator that tells how much is allocated and freed.

use std::alloc::{GlobalAlloc, Layout, System};

/// Calls the function with each number of bytes: negative ones are freed. In the thread that does it, so the function may
/// not allocate.
pub(crate) struct Counting(pub(crate) fn(isize));

fn bytes(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        (self.0)(bytes(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        (self.0)(-bytes(layout));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}
