//! No URL makes the redaction of URLs panic or hang, and none before a secret keeps it in.
#![no_main]

use flame_on::__vectors_errors::redact_url;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "S3CR3TxVALUE";

fuzz_target!(|url: &str| {
    let once = redact_url(url);
    assert!(once.len() <= url.len().saturating_mul(12) + 12, "{url:?} grew to {once:?}");
    if url.contains(SECRET) {
        return;
    }
    for planted in ["?x=1&access_token=S3CR3TxVALUE&y=2", "#password=S3CR3TxVALUE", "?user%5Bpassword%5D=S3CR3TxVALUE"] {
        let whole = format!("{url}{planted}");
        let clean = redact_url(&whole);
        assert!(!clean.contains(SECRET), "{whole:?} left {clean:?}");
    }
});
