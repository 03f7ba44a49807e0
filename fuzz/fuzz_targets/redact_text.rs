//! No text makes the redaction of texts panic or hang, and none before a secret keeps it in.
#![no_main]

use flame_on::__vectors_errors::redact_text;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "S3CR3TxVALUE";

fuzz_target!(|text: &str| {
    let once = redact_text(text);
    assert!(once.len() <= text.len().saturating_mul(12) + 12, "{text:?} grew to {once:?}");
    // `text` may hold the secret's letters itself: then there is nothing to learn.
    if text.contains(SECRET) {
        return;
    }
    for planted in ["password=S3CR3TxVALUE", "\"token\": \"S3CR3TxVALUE\"", "secret: Some(\"S3CR3TxVALUE\")"] {
        let whole = format!("{text}\n{planted}\nthe end");
        let clean = redact_text(&whole);
        assert!(!clean.contains(SECRET), "{whole:?} left {clean:?}");
    }
});
