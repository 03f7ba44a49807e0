//! Copying a live stack.

/// Copies `words` words from `source` to `target`, which do not overlap.
///
/// In assembly, because no rule of the language covers what is read here: other functions' locals, some of them never
/// written. It also keeps `memcpy` out of the handler, which a lazy linker would have to look up first and which
/// sanitizers replace.
///
/// # Safety
/// `source` is mapped and readable, `target` valid for writes, both for `words` words and aligned to them.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn copy_words(source: *const u64, target: *mut u64, words: usize) {
    // SAFETY: reads and writes what the caller has promised. The direction flag is clear in every function, and the
    // kernel clears it for a handler.
    unsafe {
        core::arch::asm!(
            "rep movsq",
            inout("rcx") words => _,
            inout("rsi") source => _,
            inout("rdi") target => _,
            options(nostack, preserves_flags)
        );
    }
}

/// See above.
///
/// # Safety
/// `source` is mapped and readable, `target` valid for writes, both for `words` words and aligned to them.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) unsafe fn copy_words(source: *const u64, target: *mut u64, words: usize) {
    // SAFETY: reads and writes what the caller has promised: two words at a time, then the odd one.
    unsafe {
        core::arch::asm!(
            "2:",
            "subs {left}, {left}, #2",
            "b.lo 3f",
            "ldp {first}, {second}, [{source}], #16",
            "stp {first}, {second}, [{target}], #16",
            "b 2b",
            "3:",
            "tbz {left}, #0, 4f",
            "ldr {first}, [{source}]",
            "str {first}, [{target}]",
            "4:",
            left = inout(reg) words => _,
            source = inout(reg) source => _,
            target = inout(reg) target => _,
            first = out(reg) _,
            second = out(reg) _,
            options(nostack)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_and_nothing_beyond_it() {
        let source: Vec<u64> = (1..=64).collect();
        for words in 0..=64 {
            let mut target = vec![0; 65];
            // SAFETY: both vectors have at least `words` words.
            unsafe { copy_words(source.as_ptr(), target.as_mut_ptr(), words) };
            assert_eq!(&target[..words], &source[..words]);
            assert!(target[words..].iter().all(|word| *word == 0));
        }
    }
}
