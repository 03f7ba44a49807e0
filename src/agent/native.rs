//! What the configuration makes of native capture.

use std::sync::Arc;

use crate::capture::clock::Clock;
use crate::capture::current;
use crate::capture::native::capture::{NativeCapture, NativeSettings};
use crate::capture::native::priority;
use crate::capture::native::sampler::SamplerSettings;
use crate::config::Config;
use crate::model::config::NativeCapture as Mode;
use crate::safety::cpu::threads::AgentThreads;
use crate::symbols::symbolizer::SymbolSettings;
use crate::symbols::thread::SymbolThread;

/// `None` when it is off, or nothing is captured at all.
pub(super) fn start(config: &Config, clock: &Clock, threads: &Arc<AgentThreads>) -> Option<Arc<NativeCapture>> {
    if !is_on(config) {
        return None;
    }
    let settings = NativeSettings { sampler: sampler(config), max_trace_duration: config.max_trace_duration() };
    let threads = threads.clone();
    let on_start = move || {
        current::enter_agent();
        threads.enter();
    };
    match NativeCapture::start(clock.clone(), settings, on_start) {
        Ok(capture) => Some(capture),
        Err(error) => {
            tracing::warn!(target: "flame_on", %error, "no native capture: its thread could not be started");
            None
        }
    }
}

/// `None` when `cpu_sample_hz` is 0.
fn sampler(config: &Config) -> Option<SamplerSettings> {
    let hz = config.cpu_sample_hz();
    let settings = SamplerSettings { hz, signal: config.cpu_signal(), max_threads: config.max_sampled_threads() };
    (hz > 0).then_some(settings)
}

/// The thread that finds names; it begins with the first trace that needs some.
pub(super) fn symbols(config: &Config, threads: Arc<AgentThreads>) -> Option<Arc<SymbolThread>> {
    let settings =
        SymbolSettings { max_bytes: config.max_symbol_bytes(), debug_file: config.debug_file().map(ToOwned::to_owned) };
    let on_start = move || {
        current::enter_agent();
        threads.enter();
        if let Err(error) = priority::lower_own() {
            tracing::debug!(target: "flame_on", %error, "the symbol thread keeps the priority of the others");
        }
    };
    is_on(config).then(|| Arc::new(SymbolThread::new(settings, on_start)))
}

fn is_on(config: &Config) -> bool {
    config.capture() && config.native_capture() != Mode::Off
}
