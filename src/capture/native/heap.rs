//! Memory that the C library keeps after it was freed.

#![allow(unsafe_code)]

/// Gives it back to the system. Looks through all that is free in the process, with the allocator's locks held: for the
/// start of a program, when that is little, and not for later. Does nothing where another allocator or C library is used.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, may be called by any thread at any time, and touches only memory that is free.
    unsafe {
        libc::malloc_trim(0)
    };
}
