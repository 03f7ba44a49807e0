//! What an agent holds, and what the process keeps for all of them.

use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::{RawSample, SampleRate, SamplerError, SamplerSettings, SamplerStats};
use super::cookie::Cookie;
use super::counters::COUNTERS;
use super::install::{Handlers, InstallError};
use super::ring;
use super::running::Poll;
use super::slot::Slot;
use super::{drain, force, last, pool, seat, tick_cost, timer};
use crate::capture::native::fork::{is_forked_child, watch_forks};
use crate::capture::native::ticks;
use crate::model::config::CpuSignal;

/// How long the last agent waits for ticks that are under way, all threads together. They take microseconds, and more
/// only where a thread is not scheduled.
const LAST_TICKS: Duration = Duration::from_millis(20);

static PROCESS: Mutex<Process> =
    Mutex::new(Process { agents: Vec::new(), agent: 0, epoch: 0, handlers: Handlers::new() });

/// Held while agents come and go, never by host threads in a poll.
#[derive(Debug)]
struct Process {
    agents: Vec<(u64, SamplerSettings)>,
    /// The newest agent's number.
    agent: u64,
    epoch: u64,
    handlers: Handlers,
}

fn process() -> MutexGuard<'static, Process> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One agent's part in the sampling of this process.
///
/// Dropping it ends its samples. The last one to be dropped deletes all timers and puts back the handler that was there
/// before, unless somebody has put another on top, or a tick may still come: then ours stays, and forwards. Waits 20 ms
/// at most, beside [`fit_rate`](Self::fit_rate).
#[derive(Debug)]
pub(crate) struct Sampler {
    agent: u64,
}

impl Sampler {
    /// Begins to sample the threads that [`Sampler::enter`] is called in.
    ///
    /// # Errors
    /// In a forked child, and when the process gets no timers or no handler.
    pub(crate) fn start(settings: SamplerSettings) -> Result<Self, SamplerError> {
        if is_forked_child() {
            return Err(SamplerError::Forked);
        }
        watch_forks().map_err(SamplerError::Forks)?;
        try_timer(settings.signal)?;
        let agent = process().join(settings)?;
        Ok(Self { agent })
    }

    /// A poll begins: until [`Entered::leave`], ticks in this thread are samples with this `label` (not zero), and of the
    /// stack below `base`. Polls nest. Costs nanoseconds, and a system call when the timer rests.
    #[inline]
    pub(crate) fn enter(&self, label: u64, base: usize) -> Entered {
        let Some(slot) = seat::slot() else { return Entered::nowhere() };
        let before = slot.running.replace(Poll { label, agent: self.agent, base, count: 0 });
        if !slot.is_armed() {
            arm(slot);
        }
        Entered { slot: Some(slot), label, before, not_send: PhantomData }
    }

    /// Measures what a tick takes of the calling thread, if a rate depends on it and it is not known yet. Blocks for 5 ms, 40
    /// at most, and whoever starts or ends a sampler meanwhile with it.
    pub(crate) fn fit_rate(&self) {
        if !is_forked_child() {
            process().fit_rate();
        }
    }

    /// Ends this agent's samples, as its drop does. Safe to call twice.
    pub(crate) fn stop(&self) {
        // In a forked child the locks may be held for good, and nothing is armed.
        if !is_forked_child() {
            process().leave(self.agent);
        }
    }

    /// Takes out this agent's samples. Those of a poll are all there once it has been left. For the agent's threads: it
    /// takes a lock, which is held while `each` runs.
    pub(crate) fn drain(&self, each: &mut dyn FnMut(RawSample<'_>)) {
        drain::drain(self.agent, each);
    }

    /// Between two ticks of a thread, on average.
    pub(crate) fn period() -> Duration {
        Duration::from_nanos(force::period())
    }

    /// What happened in this process so far.
    pub(crate) fn stats() -> SamplerStats {
        let slots = pool::slots().count() as u64;
        SamplerStats {
            taken: COUNTERS.taken.get(),
            foreign_stack: COUNTERS.foreign_stack.get(),
            truncated: COUNTERS.truncated.get(),
            ring_full: COUNTERS.ring_full.get(),
            rate_limited: COUNTERS.rate_limited.get(),
            queue_full: COUNTERS.queue_full.get(),
            idle_ticks: COUNTERS.idle_ticks.get(),
            stopped: COUNTERS.stopped.get(),
            lost_ticks: COUNTERS.lost_ticks.get(),
            withheld: COUNTERS.withheld.get(),
            stale_ticks: COUNTERS.stale_ticks.get(),
            chained: COUNTERS.chained.get(),
            threads_refused: COUNTERS.threads_refused.get(),
            threads_failed: COUNTERS.threads_failed.get(),
            last_errno: COUNTERS.last_errno.load(Relaxed),
            threads_blocking: COUNTERS.threads_blocking.get(),
            slots,
            slots_in_use: pool::slots().filter(|slot| slot.is_owned()).count() as u64,
            ring_bytes: slots * (ring::CAPACITY * size_of::<u64>()) as u64,
            signal: force::present().and_then(|force| signal_of(force.signal())),
            hz: force::hz(),
            tick_cost: force::tick_cost(),
            is_handler_replaced: drain::is_handler_replaced(),
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// So that an agent can say at its start that there will be no samples.
fn try_timer(signal: CpuSignal) -> Result<(), SamplerError> {
    let timer = timer::create(number_of(signal), Cookie::new(0, 0)).map_err(SamplerError::Timer)?;
    timer::delete(timer);
    Ok(())
}

impl Process {
    fn join(&mut self, settings: SamplerSettings) -> Result<u64, SamplerError> {
        let is_first = self.agents.is_empty();
        if is_first {
            self.install(settings.signal)?;
        }
        self.agent += 1;
        drain::open(self.agent);
        self.agents.push((self.agent, settings));
        self.adjust();
        if is_first {
            self.epoch += 1;
            force::begin(self.epoch, number_of(settings.signal));
        }
        Ok(self.agent)
    }

    fn install(&mut self, signal: CpuSignal) -> Result<(), SamplerError> {
        self.handlers.install(number_of(signal)).map_err(|error| match error {
            InstallError::Kernel(source) => SamplerError::Handler { signal, source },
            InstallError::ReplacedTooOften => SamplerError::ReplacedTooOften(signal),
        })
    }

    fn leave(&mut self, agent: u64) {
        self.agents.retain(|(number, _)| *number != agent);
        if self.agents.is_empty() {
            self.end();
        } else {
            self.adjust();
        }
        // Last: where it was the only one, hardly a tick comes after this.
        drain::close(agent);
    }

    /// The highest of all agents.
    fn adjust(&self) {
        let tick_cost = force::tick_cost();
        let hz = self.agents.iter().map(|(_, settings)| settings.rate.hz(tick_cost)).max();
        let max_threads = self.agents.iter().map(|(_, settings)| settings.max_threads).max();
        force::adjust(hz.unwrap_or(1), max_threads.unwrap_or(0));
        pool::has_changed();
    }

    /// Under the lock: our handler is there until the last agent leaves.
    fn fit_rate(&self) {
        let depends = self.agents.iter().any(|(_, settings)| matches!(settings.rate, SampleRate::AtMost(_)));
        let Some(force) = force::present().filter(|_| depends && force::tick_cost() == 0) else { return };
        if let Some(cost) = tick_cost::measure(force.signal()) {
            force::set_tick_cost(cost);
            self.adjust();
        }
    }

    fn end(&mut self) {
        let Some(force) = force::present() else { return };
        let deadline = Instant::now() + LAST_TICKS;
        let mut is_late = || {
            std::thread::yield_now();
            Instant::now() >= deadline
        };
        if last::leave(&mut is_late) {
            // A handler that cannot be taken away forwards all it gets.
            self.handlers.restore(force.signal()).ok();
        }
    }
}

fn number_of(signal: CpuSignal) -> libc::c_int {
    match signal {
        CpuSignal::Urg => libc::SIGURG,
        CpuSignal::Prof => libc::SIGPROF,
        CpuSignal::Usr1 => libc::SIGUSR1,
        CpuSignal::Usr2 => libc::SIGUSR2,
    }
}

fn signal_of(number: libc::c_int) -> Option<CpuSignal> {
    let all = [CpuSignal::Urg, CpuSignal::Prof, CpuSignal::Usr1, CpuSignal::Usr2];
    all.into_iter().find(|signal| number_of(*signal) == number)
}

/// A poll that is being sampled. Left when dropped.
#[derive(Debug)]
#[must_use = "the poll ends when this is dropped"]
pub(crate) struct Entered {
    /// `None`: the thread has no slot, or the poll was left.
    slot: Option<&'static Slot>,
    label: u64,
    /// What ran before, and goes on afterwards.
    before: Poll,
    not_send: PhantomData<*const ()>,
}

impl Entered {
    fn nowhere() -> Self {
        Self { slot: None, label: 0, before: Poll::default(), not_send: PhantomData }
    }

    /// The poll ends; returns how many samples were taken in it, those of polls inside of it not counted. A system call
    /// when the timer is taken back.
    #[inline]
    pub(crate) fn leave(mut self) -> u32 {
        self.end()
    }

    #[inline]
    fn end(&mut self) -> u32 {
        let Some(slot) = self.slot.take() else { return 0 };
        if !seat::is_in(slot) {
            // The stack was switched to another thread.
            slot.running.abandon(self.label);
            return 0;
        }
        let ended = slot.running.replace(self.before);
        if self.before.label == 0 {
            if slot.rest.polled() {
                stop(slot);
            }
        } else if !slot.is_armed() {
            // The tick came while the label was zero.
            arm(slot);
        }
        ended.count
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

#[cold]
#[inline(never)]
fn arm(slot: &Slot) {
    let now = ticks::monotonic_nanos();
    slot.rest.ends(now, force::period());
    slot.arm(now);
}

#[cold]
#[inline(never)]
fn stop(slot: &Slot) {
    slot.stop(ticks::monotonic_nanos());
}
