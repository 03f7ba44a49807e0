//! What the tests under load share.
#![allow(dead_code, clippy::unwrap_used, reason = "tests; not every one uses all of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flame_on::testing::TestAgent;
use flame_on::{FlameOn, ShipContext, ShipError, ShipperAdapter, Stats, TraceBatch};

pub(crate) const MIB: u64 = 1 << 20;

/// Far beyond what a loaded machine needs; only a bug waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Accepts every batch, checks that the time of each trace is conserved, and keeps nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checked(Arc<AtomicU64>);

impl Checked {
    /// Traces that arrived.
    pub(crate) fn traces(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl ShipperAdapter<TraceBatch> for Checked {
    async fn ship(&self, batch: &TraceBatch, _context: &ShipContext) -> Result<(), ShipError> {
        for trace in batch.traces() {
            let sum: Duration = trace.paths().map(|(_, own)| own).sum();
            // A panic here would be contained by the agent: the count is short of it then.
            assert_eq!(sum, trace.duration(), "{trace:?}");
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Waits until nothing runs and nothing waits; then every admitted trace must have one outcome.
pub(crate) fn assert_ledger_closes(agent: &FlameOn) -> Stats {
    let is_quiet = |stats: &Stats| stats.active_traces == 0 && stats.outbox_traces == 0;
    let deadline = Instant::now() + PATIENCE;
    loop {
        agent.flush_blocking(Duration::from_secs(5));
        let stats = agent.stats();
        // A batch in flight is in no count for a moment.
        if is_quiet(&stats) && stats.started == stats.settled() {
            return stats;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {} traces are accounted for: {stats:#?}",
            stats.settled(),
            stats.started
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Anonymous resident memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

/// An agent that ships to [`Checked`].
pub(crate) fn agent(change: impl FnOnce(flame_on::ConfigBuilder) -> flame_on::ConfigBuilder) -> (TestAgent, Checked) {
    let shipper = Checked::default();
    let agent = TestAgent::with(|builder| change(builder.shipper(shipper.clone()))).unwrap();
    (agent, shipper)
}

/// Small random numbers, the same in every run of one seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
