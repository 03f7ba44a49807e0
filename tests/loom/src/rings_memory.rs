//! Memory for rings, which are never freed: that of one order's is the next one's. Millions of them would not fit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;

/// 256 KiB.
const RING: usize = crate::capture::native::sampler::linux::RING_BYTES;

#[global_allocator]
static MEMORY: Memory = Memory(Mutex::new(Blocks { made: [0; 8], count: 0, used: 0 }));

struct Memory(Mutex<Blocks>);

struct Blocks {
    made: [usize; 8],
    count: usize,
    used: usize,
}

/// An order begins: nobody uses what was allocated in the one before.
pub(crate) fn begin() {
    MEMORY.0.lock().unwrap().used = 0;
}

// SAFETY: all is the system's, but for blocks of the size of a ring: those are given out once in each order, and every order
// begins with `begin`.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() != RING {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let mut blocks = self.0.lock().unwrap();
        if blocks.used == blocks.count {
            // SAFETY: the caller's promise.
            let made = unsafe { System.alloc_zeroed(layout) };
            let count = blocks.count;
            (blocks.made[count], blocks.count) = (made.expose_provenance(), count + 1);
        }
        blocks.used += 1;
        // Not zeroed again: what is read of a ring was written before.
        std::ptr::with_exposed_provenance_mut(blocks.made[blocks.used - 1])
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.size() != RING {
            // SAFETY: the caller's promise; a ring is never freed.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise; a ring never grows.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
