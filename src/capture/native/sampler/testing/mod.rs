//! For tests: the sampler without an agent around it, and what a host may do to it.

pub mod cost;
pub mod host;

use super::{RawSample, SampleRate, Sampler, SamplerSettings, SamplerStats, linux};
use crate::capture::native::registers::Registers;
use crate::capture::native::unwind::{OfflineUnwinder, refresh_modules};
use crate::model::config::CpuSignal;
use crate::model::stack::{Framed, StackWord};

/// More frames than a copy of 64 KiB has.
const MAX_FRAMES: usize = 8_192;

/// One agent's sampler.
#[derive(Debug)]
pub struct Probe(Sampler);

impl Probe {
    /// As an agent starts it.
    ///
    /// # Errors
    /// What the sampler says.
    pub fn start(hz: u32, signal: CpuSignal, max_threads: usize) -> Result<Self, String> {
        Self::start_at(SampleRate::Exactly(hz), signal, max_threads)
    }

    /// As an agent starts it whose rate nobody has written.
    ///
    /// # Errors
    /// What the sampler says.
    pub fn start_at_most(hz: u32, signal: CpuSignal, max_threads: usize) -> Result<Self, String> {
        Self::start_at(SampleRate::AtMost(hz), signal, max_threads)
    }

    fn start_at(rate: SampleRate, signal: CpuSignal, max_threads: usize) -> Result<Self, String> {
        let started = Sampler::start(SamplerSettings { rate, signal, max_threads });
        started.map(Self).map_err(|error| format!("{error}: {error:?}"))
    }

    /// Measures what a tick takes, once for the process; the rate then in force, and the nanoseconds.
    pub fn fit_rate(&self) -> (u32, u64) {
        self.0.fit_rate();
        let SamplerStats { hz, tick_cost, .. } = Sampler::stats();
        (hz, tick_cost)
    }

    /// Whether the handler stays when the last agent goes, since a tick may still come of a timer that is gone.
    #[must_use]
    pub fn has_late_ticks() -> bool {
        linux::has_late_ticks()
    }

    /// Runs `work` as a poll: its frames are the sample's, those of the function that this is inlined into are not.
    /// Returns how many samples were taken.
    #[inline(always)]
    pub fn poll<T>(&self, label: u64, work: impl FnOnce() -> T) -> (T, u32) {
        let base = usize::try_from(Registers::here().sp).unwrap_or(0);
        let entered = self.0.enter(label, base);
        let result = work();
        (result, entered.leave())
    }

    /// As [`Probe::poll`], with a base that may be wrong.
    pub fn poll_with_base<T>(&self, label: u64, base: usize, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.enter(label, base);
        work()
    }

    /// The samples so far, unwound.
    #[must_use]
    pub fn drain(&self) -> Vec<Sample> {
        let modules = refresh_modules();
        let mut unwinder = OfflineUnwinder::default();
        let mut words = vec![StackWord(0); MAX_FRAMES];
        let mut samples = Vec::new();
        self.0.drain(&mut |raw| {
            let count = unwinder.frames(&modules, raw.stack(), &mut words);
            samples.push(Sample::new(&raw, words.get(..count).unwrap_or(&[])));
        });
        samples
    }

    /// Takes the samples out without looking at them.
    pub fn discard(&self) -> usize {
        let mut count = 0;
        self.0.drain(&mut |_| count += 1);
        count
    }
}

/// One sample.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Of its poll.
    pub label: u64,
    /// Addresses, innermost first.
    pub frames: Vec<u64>,
    /// How far from the base each frame ends, in units of 16 bytes.
    pub places: Vec<u16>,
    /// The thread was on another stack.
    pub is_foreign_stack: bool,
    /// The copy does not reach the base.
    pub is_truncated: bool,
}

impl Sample {
    fn new(raw: &RawSample<'_>, words: &[StackWord]) -> Self {
        let address = |word: &StackWord| match word.framed() {
            Framed::Native(address) => address,
            Framed::ByHand(_) => 0,
        };
        Self {
            label: raw.label,
            frames: words.iter().map(address).collect(),
            places: words.iter().map(|word| word.place().0).collect(),
            is_foreign_stack: raw.is_foreign_stack,
            is_truncated: raw.is_truncated,
        }
    }

    /// Whether the walk went all the way to the poll.
    #[must_use]
    pub fn reaches_the_poll(&self) -> bool {
        self.places.last() == Some(&0)
    }
}

macro_rules! counts {
    ($($name:ident),* $(,)?) => {
        /// The sampler's counts of the process.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[expect(missing_docs, reason = "see `SamplerStats`")]
        pub struct Counts {
            $(pub $name: u64,)*
            pub last_errno: i32,
            pub signal: Option<CpuSignal>,
            pub is_handler_replaced: bool,
        }

        impl Counts {
            /// At present.
            #[must_use]
            pub fn now() -> Self {
                let stats = Sampler::stats();
                Self {
                    $($name: stats.$name,)*
                    last_errno: stats.last_errno,
                    signal: stats.signal,
                    is_handler_replaced: stats.is_handler_replaced,
                }
            }

            /// What was counted since `before`; what is no count stays as it is.
            #[must_use]
            pub fn since(self, before: Self) -> Self {
                Self { $($name: self.$name.saturating_sub(before.$name),)* ..self }
            }
        }
    };
}

counts! {
    taken, foreign_stack, truncated, ring_full, rate_limited, queue_full, idle_ticks, stopped, lost_ticks, withheld, stale_ticks,
    chained, threads_refused, threads_failed, threads_blocking, slots, slots_in_use, ring_bytes,
}
