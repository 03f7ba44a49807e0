//! What an agent has for native capture: shared by its recorders, its pump and its sessions.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::bell::Bell;
use super::pump;
use super::sampler::{Entered, Sampler, SamplerError, SamplerSettings, SamplerStats};
use super::samples::{SampleStore, UnwoundSample};
use super::unwind::{self, OfflineUnwinder};
use crate::capture::clock::Clock;
use crate::capture::wakes::Wakes;
use crate::capture::wakes_pool::WakesPool;
use crate::model::stack::StackWord;
use crate::model::time::Nanos;
use crate::safety::budget::CaptureBudget;
use crate::safety::lock::lock;

/// Traces with samples that end between two looks, beyond which their samples wait for a sweep.
const MOST_GONE: usize = 1_024;
/// Frames of a sample; the outer ones of a deeper stack are missing.
const SAMPLE_FRAMES: usize = 512;

/// Between two looks at whether another library has come into the place of one that is known.
const MODULE_CHECK: Nanos = Nanos(1_000_000_000);

/// What native capture goes by.
#[derive(Clone)]
pub(crate) struct NativeSettings {
    /// `None`: no CPU samples.
    pub(crate) sampler: Option<SamplerSettings>,
    /// No trace is longer, so no sample waits longer.
    pub(crate) max_trace_duration: Duration,
    /// What samples that wait count against.
    pub(crate) budget: CaptureBudget,
}

/// See the module.
pub(crate) struct NativeCapture {
    clock: Clock,
    wakes: WakesPool,
    sampler: Result<Option<Sampler>, SamplerError>,
    samples: SampleStore,
    /// Traces that are gone, with samples that nobody has taken or that are still in a ring.
    gone: ArrayQueue<u64>,
    unwinder: Mutex<OfflineUnwinder>,
    pub(super) bell: Arc<Bell>,
    max_trace_duration: Nanos,
    /// The last look for samples of traces that are gone.
    swept: LastTime,
    /// The last look at the modules that are known.
    checked: LastTime,
}

/// When something was done last that is done every now and then, in raw time.
struct LastTime(Mutex<u64>);

impl LastTime {
    fn now(clock: &Clock) -> Self {
        Self(Mutex::new(clock.raw()))
    }

    /// The last time, if that is `interval` ago at least: it is now from here on.
    fn again_after(&self, interval: Nanos, clock: &Clock) -> Option<u64> {
        let now = clock.raw();
        let mut last = lock(&self.0);
        let is_due = clock.between(*last, now) >= interval;
        is_due.then(|| std::mem::replace(&mut *last, now))
    }
}

impl fmt::Debug for NativeCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeCapture").field("sampler", &self.sampler).finish_non_exhaustive()
    }
}

impl NativeCapture {
    /// Reads the process's modules, which takes the loader's lock, and starts the sampler and the pump. `on_start` is
    /// what the pump's thread does first.
    ///
    /// # Errors
    /// When the system gives no thread. Without timers there are await sites and wakes, and no samples: see
    /// [`NativeCapture::sampler_error`].
    pub(crate) fn start(
        clock: Clock,
        settings: NativeSettings,
        on_start: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        unwind::refresh_modules();
        let capture = Arc::new(Self {
            swept: LastTime::now(&clock),
            checked: LastTime::now(&clock),
            clock,
            wakes: WakesPool::new(),
            sampler: settings.sampler.map(Sampler::start).transpose(),
            samples: SampleStore::new(&settings.budget),
            gone: ArrayQueue::new(MOST_GONE),
            unwinder: Mutex::default(),
            bell: Arc::default(),
            max_trace_duration: settings.max_trace_duration.into(),
        });
        pump::start(&capture, on_start)?;
        Ok(capture)
    }

    /// Ends sampling and the pump; await sites are captured as long as somebody traces. Safe to call twice.
    pub(crate) fn stop(&self) {
        if let Ok(Some(sampler)) = &self.sampler {
            sampler.stop();
        }
        self.bell.end();
    }

    /// Why there are no samples, although they were asked for.
    pub(crate) fn sampler_error(&self) -> Option<&SamplerError> {
        self.sampler.as_ref().err()
    }

    /// For the pump's thread, before its first look: how often threads are sampled may depend on this machine.
    pub(super) fn fit_rate(&self) {
        if let Ok(Some(sampler)) = &self.sampler {
            sampler.fit_rate();
        }
    }

    /// How long it is between two ticks of a thread, on average; an hour without samples.
    pub(super) fn tick_period(&self) -> Duration {
        match &self.sampler {
            Ok(Some(_)) => Sampler::period(),
            _ => Duration::from_secs(3_600),
        }
    }

    /// What the samplers of this process have done; `None` when this agent has none.
    pub(crate) fn sampler_stats(&self) -> Option<SamplerStats> {
        matches!(self.sampler, Ok(Some(_))).then(Sampler::stats)
    }

    /// Bytes of samples that wait, and how many found no room.
    pub(crate) fn waiting_samples(&self) -> (usize, u64) {
        self.samples.bytes_and_dropped()
    }

    /// A poll of the trace `label` begins, whose stack begins at `base`.
    #[inline]
    pub(crate) fn enter(&self, label: u64, base: usize) -> Option<Entered> {
        // Without samples as well: what is loaded meanwhile has to be found.
        self.bell.polled();
        let Ok(Some(sampler)) = &self.sampler else { return None };
        Some(sampler.enter(label, base))
    }

    /// The samples of the trace `label`, whose work has ended.
    pub(crate) fn take_samples(&self, label: u64) -> Vec<UnwoundSample> {
        self.collect();
        self.samples.take(label)
    }

    /// What the pump does every now and then; whether there were samples.
    pub(super) fn look(&self) -> bool {
        let is_check_due = || self.checked.again_after(MODULE_CHECK, &self.clock).is_some();
        if unwind::has_met_unknown() || is_check_due() && unwind::have_modules_changed() {
            unwind::refresh_modules();
        }
        // Before the rings are emptied: all samples of these are in there, or have come out of them.
        let gone: Vec<u64> = std::iter::from_fn(|| self.gone.pop()).take(MOST_GONE).collect();
        let has_found = self.collect();
        self.samples.forget(&gone);
        self.sweep();
        has_found
    }

    /// Nobody will ask for the samples of the trace `label` any more. For any thread: it waits for nobody.
    pub(crate) fn forget_samples(&self, label: u64) {
        // `Err`: the sweep finds them.
        self.gone.push(label).ok();
    }

    /// Unwinds what the rings hold; whether that was anything.
    fn collect(&self) -> bool {
        let (Ok(Some(sampler)), Some(modules)) = (&self.sampler, unwind::modules()) else { return false };
        let mut has_found = false;
        let mut unwinder = lock(&self.unwinder);
        let mut frames = [StackWord(0); SAMPLE_FRAMES];
        sampler.drain(&mut |sample| {
            has_found = true;
            let count = unwinder.frames(&modules, sample.stack(), &mut frames);
            self.samples.add(sample.label, sample.time, frames.get(..count).unwrap_or_default());
        });
        has_found
    }

    /// Samples that came late, or of too many traces at once, wait for nobody.
    fn sweep(&self) {
        if let Some(swept) = self.swept.again_after(self.max_trace_duration, &self.clock) {
            self.samples.forget_before(swept);
        }
    }

    /// What wakers of the trace `label` share.
    pub(crate) fn take_wakes(&self, label: u64) -> Arc<Wakes> {
        self.wakes.take(label)
    }

    /// Takes them back, unless a waker is left that outlives its trace.
    pub(crate) fn give_back_wakes(&self, wakes: Arc<Wakes>) {
        self.wakes.give_back(wakes);
    }
}
