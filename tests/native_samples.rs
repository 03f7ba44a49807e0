//! What becomes of CPU samples whose trace nobody reads. A binary of its own: samples are counted for the whole process.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{ConfigBuilder, NativeCapture, UnitSettings};

/// Ends a test that waits for what never comes.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn samples_of_traces_that_are_not_shipped_do_not_wait() {
    let config = |config: ConfigBuilder| {
        let long = UnitSettings::new().threshold(Duration::from_secs(3_600));
        config.native_capture(NativeCapture::On).cpu_sample_hz(5_000).event("test", long)
    };
    let agent = TestAgent::with(config).unwrap();
    let begun = Instant::now();
    let stats = || agent.stats().native;
    let mut has_waited = false;
    while stats().samples < 100 || !has_waited {
        assert!(begun.elapsed() < LIMIT, "{:#?}", stats());
        let slice = Instant::now();
        agent.unit("test", || "one").in_scope(|| {
            while slice.elapsed() < Duration::from_millis(20) {}
            has_waited |= stats().sample_bytes > 0;
        });
    }
    assert_eq!(agent.traces_blocking().len(), 0);
    let begun = Instant::now();
    while stats().sample_bytes > 0 {
        assert!(begun.elapsed() < LIMIT, "{:#?}", stats());
        std::thread::sleep(Duration::from_millis(10));
    }
}
