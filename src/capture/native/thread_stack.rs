//! The bounds of a thread's own stack: nothing outside of them is ever read.

#![allow(unsafe_code)]

use std::ops::Range;

/// The present thread's stack without its guard, lowest address first; `None` where it cannot be known. Costs
/// microseconds (for the main thread the C library reads a file), so callers keep the answer.
#[cfg(native_capture)]
pub(crate) fn bounds() -> Option<Range<usize>> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the pointer is to memory of the right size, and the thread asked about is the one that runs.
    let error = unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) };
    if error != 0 {
        return None;
    }
    let (mut lowest, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the call above succeeded, so the attributes are initialised; the results have their own memory each. They
    // are destroyed once, here, and not used afterwards.
    let error = unsafe {
        let error = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size)
            | libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        error
    };
    let range = (error == 0).then(|| readable(lowest.addr(), size, guard)).flatten()?;
    Some(if is_main_thread() { reserved(range) } else { range })
}

/// The main thread's stack may grow as far as its limit says, and the kernel keeps everything else out of the uppermost
/// 128 MiB only (`MIN_GAP` in its `mm/util.c`) when the limit was raised after the program began. Another stack could lie
/// below.
#[cfg(native_capture)]
fn reserved(range: Range<usize>) -> Range<usize> {
    const RESERVED: usize = 128 << 20;
    range.start.max(range.end.saturating_sub(RESERVED))..range.end
}

#[cfg(native_capture)]
fn is_main_thread() -> bool {
    // SAFETY: both calls take nothing and cannot fail.
    unsafe { libc::gettid() == libc::getpid() }
}

/// glibc before 2.27 counts the guard, which cannot be read, as a part of the stack. Where it is left out already, the
/// lowest page of the stack is given up; a thread that is down there is about to overflow.
#[cfg(native_capture)]
fn readable(lowest: usize, size: usize, guard: usize) -> Option<Range<usize>> {
    let range = lowest.checked_add(guard)?..lowest.checked_add(size)?;
    (!range.is_empty()).then_some(range)
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

    #[test]
    fn a_main_stack_without_a_limit_ends_where_other_memory_may_be() {
        assert_eq!(reserved(0..1 << 30), (1 << 30) - (128 << 20)..1 << 30);
        assert_eq!(reserved(0x1000..0x9000), 0x1000..0x9000);
    }

    #[test]
    fn the_guard_is_no_part_of_the_stack() {
        assert_eq!(readable(0x1000, 0x8000, 0x1000), Some(0x2000..0x9000));
        assert_eq!(readable(0x1000, 0x1000, 0x1000), None);
        assert_eq!(readable(usize::MAX - 10, 100, 0), None);
    }
}
