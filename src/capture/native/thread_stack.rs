//! The bounds of a thread's own stack: nothing outside of them is ever read.

#![allow(unsafe_code)]

use std::ops::Range;

/// The present thread's stack, lowest address first; `None` where it cannot be known. Costs microseconds (for the main
/// thread the C library reads a file), so callers keep the answer.
#[cfg(native_capture)]
pub(crate) fn bounds() -> Option<Range<usize>> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the pointer is to memory of the right size, and the thread asked about is the one that runs.
    let error = unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) };
    if error != 0 {
        return None;
    }
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the call above succeeded, so the attributes are initialised; both results have their own memory. They are
    // destroyed once, here, and not used afterwards.
    let error = unsafe {
        let error = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        error
    };
    let lowest = lowest.addr();
    (error == 0 && size > 0).then(|| lowest..lowest.saturating_add(size))
}

#[cfg(all(test, native_capture))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_local_variable_lies_within_the_bounds_of_its_own_thread_only() {
        let local = 0u8;
        let own = bounds().unwrap();
        assert!(own.contains(&std::ptr::from_ref(&local).addr()));
        let other = std::thread::spawn(|| bounds().unwrap()).join().unwrap();
        assert!(!other.contains(&std::ptr::from_ref(&local).addr()));
    }
}
