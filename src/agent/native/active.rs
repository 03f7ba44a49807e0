//! Builds with native capture.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::capture::clock::Clock;
use crate::capture::current;
use crate::capture::native::capture::{NativeCapture, NativeSettings};
use crate::capture::native::registers::Registers;
use crate::capture::native::sampler::{SampleRate, Sampler, SamplerSettings, SamplerStats};
use crate::capture::native::unwind::{self, Cut};
use crate::capture::native::{heap, place_in_agent, priority};
use crate::config::Config;
use crate::model::config::{CpuSignal, NativeCapture as Mode};
use crate::model::native_stats::NativeStats;
use crate::model::stack::{Framed, StackWord};
use crate::safety::budget::CaptureBudget;
use crate::safety::cpu::threads::AgentThreads;
use crate::symbols::diagnose::Diagnosis;
use crate::symbols::symbolizer::SymbolSettings;
use crate::symbols::thread::SymbolThread;

/// Frames that a walk from the agent's start must find at least to count as one that works: the caller, `main` or a
/// thread's first function, and what called that.
const FRAMES_FOR_TEST: usize = 3;

/// Settings whose outcome is remembered; a process has one or two.
const MOST_KNOWN: usize = 8;

/// What an agent has of native capture.
#[derive(Clone)]
pub(in crate::agent) struct Native {
    /// `None` when it is off.
    pub(in crate::agent) capture: Option<Arc<NativeCapture>>,
    /// The thread that finds names; it begins with the first job.
    pub(in crate::agent) symbols: Option<Arc<SymbolThread>>,
    status: Arc<Status>,
}

struct Status {
    capture: String,
    /// What was asked for of the samples that there are.
    samples: Option<(SampleRate, CpuSignal)>,
    /// What is known of the program's symbols.
    symbols: OnceLock<String>,
}

impl Native {
    pub(in crate::agent) fn new(
        config: &Config,
        clock: &Clock,
        budget: &CaptureBudget,
        threads: &Arc<AgentThreads>,
    ) -> Self {
        let (capture, status) = match start(config, clock, budget, threads) {
            Ok(capture) => {
                let status = describe(config, &capture);
                (Some(capture), status)
            }
            Err(why) => (None, format!("off: {why}")),
        };
        let symbols = capture.as_ref().map(|_| symbols(config));
        let has_samples = capture.as_ref().is_some_and(|capture| capture.sampler_stats().is_some());
        let samples = has_samples.then(|| (rate(config), config.cpu_signal()));
        let status = Status { capture: status, samples, symbols: OnceLock::new() };
        Self { capture, symbols, status: Arc::new(status) }
    }

    pub(in crate::agent) fn stats(&self) -> NativeStats {
        let sampler = self.capture.as_ref().and_then(|capture| capture.sampler_stats());
        let (waiting, dropped) = self.capture.as_ref().map_or((0, 0), |capture| capture.waiting_samples());
        let symbols = self.symbols.as_ref();
        let is_sampling = sampler.is_some();
        let sampler = sampler.unwrap_or_default();
        NativeStats {
            await_sites: self.capture.is_some(),
            cpu_samples: is_sampling,
            sample_hz: sampler.hz,
            status: self.status.text(&sampler),
            tick_nanos: sampler.tick_cost,
            samples: sampler.taken,
            samples_without_stack: sampler.foreign_stack,
            samples_cut: sampler.truncated,
            samples_lost: sampler.ring_full + sampler.rate_limited + sampler.queue_full + dropped,
            ticks_lost: sampler.lost_ticks,
            handler_replaced: sampler.is_handler_replaced,
            threads_refused: sampler.threads_refused,
            threads_failed: sampler.threads_failed,
            threads_blocking: sampler.threads_blocking,
            ticks_withheld: sampler.withheld,
            sample_bytes: waiting as u64,
            ring_bytes: sampler.ring_bytes,
            symbol_bytes: symbols.map_or(0, |symbols| symbols.bytes() as u64),
            symbol_bytes_peak: symbols.map_or(0, |symbols| symbols.peak_bytes() as u64),
        }
    }
}

impl Status {
    fn text_now(&self) -> String {
        self.text(&Sampler::stats())
    }

    /// `sampler` is at present.
    fn text(&self, sampler: &SamplerStats) -> String {
        let rate = self.samples.map_or_else(String::new, |(rate, signal)| rate_text(rate, signal, sampler));
        let symbols = self.symbols.get().map_or_else(String::new, |symbols| format!("; {symbols}"));
        format!("{}{rate}{symbols}", self.capture)
    }
}

/// The error says in half a sentence why there is none.
fn start(
    config: &Config,
    clock: &Clock,
    budget: &CaptureBudget,
    threads: &Arc<AgentThreads>,
) -> Result<Arc<NativeCapture>, String> {
    if !config.capture() {
        return Err("`capture` is not set".to_owned());
    }
    if config.native_capture() == Mode::Off {
        return Err("`native_capture = \"off\"`".to_owned());
    }
    let settings = NativeSettings {
        sampler: sampler(config),
        max_trace_duration: config.max_trace_duration(),
        budget: budget.clone(),
    };
    let threads = threads.clone();
    let on_start = move || {
        current::enter_agent();
        threads.enter();
    };
    NativeCapture::start(clock.clone(), settings, on_start)
        .map_err(|error| format!("its thread could not be started: {error}"))
}

/// `None` when `cpu_sample_hz` is 0.
fn sampler(config: &Config) -> Option<SamplerSettings> {
    let (signal, max_threads) = (config.cpu_signal(), config.max_sampled_threads());
    (config.cpu_sample_hz() > 0).then(|| SamplerSettings { rate: rate(config), signal, max_threads })
}

fn rate(config: &Config) -> SampleRate {
    let hz = config.cpu_sample_hz();
    if config.is_sample_rate_written() { SampleRate::Exactly(hz) } else { SampleRate::AtMost(hz) }
}

fn describe(config: &Config, capture: &NativeCapture) -> String {
    match capture.sampler_error() {
        Some(error) => format!("await sites and wakes, no CPU samples: {}", with_sources(error)),
        None if config.cpu_sample_hz() == 0 => "await sites and wakes, no CPU samples: `cpu_sample_hz = 0`".to_owned(),
        None => "await sites, wakes and CPU samples".to_owned(),
    }
}

/// How often threads are sampled, and why less often than by default.
fn rate_text(rate: SampleRate, signal: CpuSignal, sampler: &SamplerStats) -> String {
    let signal = sampler.signal.unwrap_or(signal).as_str();
    let SamplerStats { hz, tick_cost, .. } = *sampler;
    match rate {
        SampleRate::AtMost(most) if hz < most && tick_cost > 0 => {
            let micros = tick_cost.div_ceil(1_000);
            format!(
                " ({hz} a second, {signal}: a tick takes {micros} µs here, and unless `cpu_sample_hz` is written all of \
                 them together at most 0.5 % of a thread)"
            )
        }
        _ => format!(" ({hz} a second, {signal})"),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

fn symbol_settings(config: &Config) -> SymbolSettings {
    SymbolSettings { max_bytes: config.max_symbol_bytes(), debug_file: config.debug_file().map(ToOwned::to_owned) }
}

/// Not among the threads whose CPU time is limited: it runs behind all others, for `max_symbol_time_ms` a trace at most,
/// and a program's first trace would use the limit up.
fn symbols(config: &Config) -> Arc<SymbolThread> {
    let on_start = || {
        current::enter_agent();
        if let Err(error) = priority::lower_own() {
            tracing::debug!(target: "flame_on", %error, "the symbol thread keeps the priority of the others");
        }
    };
    Arc::new(SymbolThread::new(symbol_settings(config), on_start))
}

/// Tries unwinding here, and has the symbols looked at by their own thread, which then says in one line of the log what
/// native capture can do in this program. `#[inline(always)]`: the caller must be the function that the user calls.
#[inline(always)]
pub(in crate::agent) fn diagnose(config: &Config, native: &Native) {
    diagnose_from(config, native, Registers::here());
}

fn diagnose_from(config: &Config, native: &Native, registers: Registers) {
    let Some(symbols) = &native.symbols else {
        return tracing::info!(target: "flame_on", "native capture: {}", native.status.text_now());
    };
    let mut words = [StackWord(0); 64];
    let found = unwind::callers_in_place(registers, Cut::ThreadEnd, &mut words);
    let own = words.first().map_or(0, |word| if let Framed::Native(address) = word.framed() { address } else { 0 });
    let (settings, status) = (symbol_settings(config), native.status.clone());
    let has_failed = native.capture.as_ref().is_some_and(|capture| capture.sampler_error().is_some());
    let look = move || {
        let text = if found < FRAMES_FOR_TEST { no_unwinding(found) } else { read(own, &settings) };
        let (text, is_complete) = text;
        status.symbols.set(text).ok();
        let text = status.text_now();
        if is_complete && !has_failed {
            tracing::info!(target: "flame_on", "native capture: {text}");
        } else {
            tracing::warn!(target: "flame_on", "native capture: {text}");
        }
    };
    // `Err` where there is no thread: then traces go without names as well, and are counted.
    drop(symbols.run(Box::new(move |_| look())));
}

fn no_unwinding(found: usize) -> (String, bool) {
    let text = format!(
        "stacks cannot be walked in this program: {found} frames from where the agent was started; the linker must keep \
         `.eh_frame` and `.eh_frame_hdr`"
    );
    (text, false)
}

/// What the symbols of this program let the agent say, and whether anything is missing: the same for every agent with
/// these settings, and it may take a second to read.
fn read(own: u64, settings: &SymbolSettings) -> (String, bool) {
    static KNOWN: Mutex<Vec<(SymbolSettings, (String, bool))>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, said)) = known.iter().find(|(of, _)| of == settings) {
        return said.clone();
    }
    let said = read_anew(own, settings);
    // What was read may be larger than all that the program has so far, and is not needed until a trace is named.
    heap::trim();
    if known.len() < MOST_KNOWN {
        known.push((settings.clone(), said.clone()));
    }
    said
}

fn read_anew(own: u64, settings: &SymbolSettings) -> (String, bool) {
    let map = unwind::modules().map(|modules| modules.map.clone()).unwrap_or_default();
    match Diagnosis::of(&map, own, place_in_agent(), settings) {
        Some(diagnosis) => (diagnosis.to_string(), diagnosis.is_complete()),
        None => ("the program's file is not known".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_how_often_and_why_not_more_often() {
        let text = |hz| {
            let sampler = SamplerStats { hz, tick_cost: 39_200, ..SamplerStats::default() };
            rate_text(SampleRate::AtMost(997), CpuSignal::Urg, &sampler)
        };
        assert_eq!(text(997), " (997 a second, SIGURG)");
        assert!(text(127).starts_with(" (127 a second, SIGURG: a tick takes 40 µs here"), "{}", text(127));
        assert!(text(127).contains("`cpu_sample_hz`"));
        let slower = SamplerStats { hz: 127, tick_cost: 39_200, ..SamplerStats::default() };
        let ended = rate_text(SampleRate::Exactly(997), CpuSignal::Urg, &slower);
        assert_eq!(ended, " (127 a second, SIGURG)", "another agent's, this one has ended");
    }
}
