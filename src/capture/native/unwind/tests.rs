#![allow(clippy::unwrap_used, reason = "tests")]

use std::hint::black_box;

use super::*;
use crate::model::stack::Framed;

/// Whether an address is inside the code that begins at `function`; the functions here are small.
fn is_in(word: &StackWord, function: *const ()) -> bool {
    let Framed::Native(address) = word.framed() else { return false };
    (function as u64..function as u64 + 4_096).contains(&address)
}

#[inline(never)]
fn outer(depth: u32, out: &mut [StackWord]) -> usize {
    let base = usize::try_from(Registers::here().sp).unwrap();
    let count = middle(depth, base, out);
    black_box(count)
}

#[inline(never)]
fn middle(depth: u32, base: usize, out: &mut [StackWord]) -> usize {
    let count = if depth == 0 { leaf(base, out) } else { middle(depth - 1, base, out) };
    black_box(count)
}

#[inline(never)]
fn leaf(base: usize, out: &mut [StackWord]) -> usize {
    let count = callers_in_place(Registers::here(), Cut::Base(base), out);
    black_box(count)
}

#[test]
fn a_walk_finds_the_callers_up_to_the_base_in_order() {
    refresh_modules();
    let mut out = [StackWord(0); 32];
    let count = outer(4, &mut out);
    let found = &out[..count];
    assert_eq!(found.iter().filter(|word| is_in(word, middle as *const ())).count(), 5, "{found:x?}");
    assert!(count <= 6, "nothing beyond the base but perhaps the function that set it: {found:x?}");
    assert!(found.is_sorted_by(|inner, outer| inner.place() > outer.place()), "{found:x?}");
}

#[test]
fn a_full_buffer_keeps_the_innermost_frames() {
    refresh_modules();
    let mut out = [StackWord(0); 3];
    assert_eq!(outer(40, &mut out), 3);
    assert!(out.iter().all(|word| is_in(word, middle as *const ())));
}

#[test]
fn a_walk_to_the_end_of_the_thread_finds_its_first_functions() {
    refresh_modules();
    let mut out = [StackWord(0); 200];
    let count = callers_in_place(Registers::here(), Cut::ThreadEnd, &mut out);
    assert!(count > 5, "{count}");
}

#[test]
fn a_base_outside_of_the_stack_gives_nothing() {
    refresh_modules();
    let mut out = [StackWord(0); 8];
    assert_eq!(callers_in_place(Registers::here(), Cut::Base(usize::MAX), &mut out), 0);
    assert_eq!(callers_in_place(Registers::here(), Cut::Base(0), &mut out), 0);
}

#[test]
fn a_copied_stack_gives_the_same_callers_as_the_stack_itself() {
    #[inline(never)]
    fn copy_and_compare(base: usize) {
        let registers = Registers::here();
        let modules = refresh_modules();
        let mut in_place = [StackWord(0); 64];
        let count = callers_in_place(registers, Cut::Base(base), &mut in_place);
        let start = usize::try_from(registers.sp).unwrap();
        // SAFETY: from this function's own stack pointer to its caller's, on this thread's stack.
        let bytes = unsafe {
            std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(start), base - start).to_vec()
        };
        let mut copied = [StackWord(0); 64];
        let stack = CopiedStack { registers, base, start, bytes: &bytes };
        let frames = OfflineUnwinder::default().frames(&modules, stack, &mut copied);
        assert_eq!(copied[1..frames], in_place[..count]);
        assert!(is_in(&copied[0], copy_and_compare as *const ()));
    }
    #[inline(never)]
    fn between(base: usize) {
        copy_and_compare(base);
        black_box(());
    }
    between(usize::try_from(Registers::here().sp).unwrap());
}

#[test]
fn a_cut_off_copy_ends_the_walk() {
    let modules = refresh_modules();
    let registers = Registers::here();
    let start = usize::try_from(registers.sp).unwrap();
    let stack = CopiedStack { registers, base: start + 100_000, start, bytes: &[0; 16] };
    let mut out = [StackWord(0); 8];
    assert!(OfflineUnwinder::default().frames(&modules, stack, &mut out) <= 2);
}
