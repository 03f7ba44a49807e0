//! What the end-to-end tests share.
#![allow(dead_code, clippy::panic, clippy::unwrap_used, reason = "tests; each uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flame_on::{
    Config, ConfigBuilder, FlameOn, NativeCapture, ShipContext, ShipError, ShipperAdapter, Trace, TraceBatch,
    UnitSettings,
};

/// Far above what any machine needs: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The unit that tests run: always sampled, and worth shipping however short.
pub(crate) const UNIT: &str = "test.unit";

/// A configuration that traces every [`UNIT`] and ships to `adapter`. Frames by hand only: the same in every build, and
/// nothing waits for names.
pub(crate) fn config(adapter: impl ShipperAdapter<TraceBatch>) -> ConfigBuilder {
    Config::builder()
        .ignore_env()
        .process_default(false)
        .capture(true)
        .sample_rate(1.0)
        .dedupe_enabled(false)
        .native_capture(NativeCapture::Off)
        .event(UNIT, UnitSettings::new().threshold(Duration::ZERO))
        .shipper(adapter)
}

/// Waits until `is_true`.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until `is_true`, as a future.
pub(crate) async fn eventually_async(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Each trace that was started is counted exactly once. The numbers are not read at one instant, so they get time to
/// come to rest.
#[track_caller]
pub(crate) fn assert_ledger_closes(agent: &FlameOn) {
    let start = Instant::now();
    loop {
        let stats = agent.stats();
        if stats.settled() + stats.active_traces + stats.outbox_traces == stats.started {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "the ledger does not close: {stats:#?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// After the end: nothing is active, nothing waits, and the ledger closes.
#[track_caller]
pub(crate) fn assert_nothing_is_left(agent: &FlameOn) {
    eventually("no trace is active, none waits, and the agent has stopped", || {
        let stats = agent.stats();
        stats.active_traces == 0 && stats.outbox_traces == 0 && !stats.running
    });
    assert_ledger_closes(agent);
}

/// One trace that works.
pub(crate) fn trace_one(agent: &FlameOn) {
    agent.unit(UNIT, || "one").in_scope(|| std::hint::black_box(1));
}

/// Keeps what it is given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Trace>>>);

impl Kept {
    pub(crate) fn take(&self) -> Vec<Trace> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits for one trace more.
    #[track_caller]
    pub(crate) fn wait_for_one(&self) -> Trace {
        eventually("a trace is shipped", || self.len() > 0);
        self.0.lock().unwrap().remove(0)
    }
}

impl ShipperAdapter<TraceBatch> for Kept {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        self.0.lock().unwrap().extend_from_slice(batch.traces());
        Ok(())
    }
}

/// An adapter made of a closure, which may block and panic.
pub(crate) struct Blocking<F>(pub(crate) F);

impl<F> ShipperAdapter<TraceBatch> for Blocking<F>
where
    F: Fn(&TraceBatch) -> Result<(), ShipError> + Send + Sync + 'static,
{
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        (self.0)(batch)
    }
}
