//! No text makes the reader of backtraces panic.
#![no_main]

use flame_on::__vectors_errors::frames_in;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    frames_in(text);
});
