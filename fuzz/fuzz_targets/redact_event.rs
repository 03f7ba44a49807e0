//! Whole events: any texts in any place, limits of any size. Nothing is longer than its limit, and no value of a secret
//! key is left.
#![no_main]

use flame_on::__vectors_errors::redact_event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<(String, String)>, String, u8)| {
    let (pairs, message, limit) = input;
    redact_event(&pairs, &message, usize::from(limit));
});
