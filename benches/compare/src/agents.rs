//! The agents that are measured.

use std::hint::black_box;
use std::thread::sleep;
use std::time::Duration;

use flame_on::{Config, ConfigBuilder, FlameOn, FlameOnGuard, ShipContext, ShipError, ShipperAdapter, TraceBatch};

/// Takes the pprof bytes of every trace, and throws them away.
struct ThrowAway;

impl ShipperAdapter<TraceBatch> for ThrowAway {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        for trace in batch.traces() {
            black_box(trace.pprof());
        }
        Ok(())
    }
}

/// What all of them have in common.
pub fn builder() -> ConfigBuilder {
    Config::builder().ignore_env().capture(true).dedupe_enabled(false).shipper(ThrowAway)
}

/// An agent with this sample rate.
pub fn start(rate: f64) -> FlameOnGuard {
    start_with(builder().sample_rate(rate))
}

pub fn start_with(builder: ConfigBuilder) -> FlameOnGuard {
    FlameOn::start(builder.build().expect("a correct configuration")).expect("an agent")
}

/// Waits until no trace runs or is being finished.
pub fn wait_until_idle(agent: &FlameOn) {
    while agent.active_traces() > 0 {
        sleep(Duration::from_millis(1));
    }
}

/// Has the agent read the symbols that its traces will need, and waits until what earlier agents left behind is done: a
/// service does this once in its life.
pub fn settle(agent: &FlameOn) {
    agent.unit("shop.warm", || "warm").in_scope(|| {
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(150) {
            flame_on::frame!("warm");
            black_box(start);
        }
    });
    agent.flush_blocking(Duration::from_secs(60));
    sleep(Duration::from_millis(200));
}
