//! What goes in and out.

use std::io;

use thiserror::Error;

use crate::capture::native::registers::Registers;
use crate::capture::native::unwind::CopiedStack;
use crate::model::config::CpuSignal;

/// What an agent asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SamplerSettings {
    /// How often; the highest of all agents in the process holds for all.
    pub(crate) rate: SampleRate,
    /// Which signal; the first agent of the process decides for all ([`SamplerStats::signal`]).
    pub(crate) signal: CpuSignal,
    /// How many threads have a timer and a ring at the same time, 1 to 4,096; the highest of all agents holds. Further
    /// threads run without samples and are counted.
    pub(crate) max_threads: usize,
}

/// Samples a second of a thread that polls traced futures all the time, 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SampleRate {
    Exactly(u32),
    /// As many as take 0.5 % of the thread, but 99 at least.
    AtMost(u32),
}

impl SampleRate {
    /// One part in so many of a thread's time is what its ticks may take.
    const PART_OF_THREAD: u64 = 200;
    /// However long a tick takes.
    const LEAST: u32 = 99;

    /// The rate where a tick takes so many nanoseconds; 0: that is not known.
    pub(crate) fn hz(self, tick_cost: u64) -> u32 {
        match self {
            Self::Exactly(hz) => hz,
            Self::AtMost(hz) => {
                let affordable = 1_000_000_000_u64.checked_div(tick_cost.saturating_mul(Self::PART_OF_THREAD));
                let affordable = affordable.map_or(hz, |affordable| u32::try_from(affordable).unwrap_or(u32::MAX));
                hz.min(affordable.max(Self::LEAST))
            }
        }
    }
}

/// Why there are no CPU samples.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SamplerError {
    /// The process was forked off one with an agent.
    #[error("a forked child is not sampled: start the agent after the fork")]
    Forked,
    /// The C library has no memory to watch forks, so a child could not tell that the timers are not its own.
    #[error("cannot watch for forks")]
    Forks(#[source] io::Error),
    /// The kernel gives no timers to this process.
    #[error("cannot create a timer: does a seccomp profile forbid timer_create, or is RLIMIT_SIGPENDING used up?")]
    Timer(#[source] io::Error),
    /// The kernel accepts no handler.
    #[error("cannot install a handler for {}", .signal.as_str())]
    Handler {
        signal: CpuSignal,
        #[source]
        source: io::Error,
    },
    /// Others have put their handlers on top of ours too many times; another of ours could call them in a circle.
    #[error("the handler for {} was replaced too often: choose another cpu_signal", .0.as_str())]
    ReplacedTooOften(CpuSignal),
}

/// One sample as the handler left it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSample<'a> {
    /// What was given to `enter`.
    pub(crate) label: u64,
    /// A reading of the raw clock.
    pub(crate) time: u64,
    /// Of the instruction that the thread was about to run: an exact address, not a return address.
    pub(crate) registers: Registers,
    /// What was given to `enter`: frames at or above this address are not the trace's.
    pub(crate) base: usize,
    /// The address of the first copied word.
    pub(crate) start: usize,
    /// The stack from there upwards to `base` or as far as it was copied. Empty for a foreign stack.
    pub(crate) words: &'a [u64],
    /// The thread did not run on its own stack, or the poll was not begun there: there is nothing but the registers.
    pub(crate) is_foreign_stack: bool,
    /// The stack was larger than what is copied at most (64 KiB): its outer frames are missing.
    pub(crate) is_truncated: bool,
}

impl<'a> RawSample<'a> {
    /// What an unwinder takes. Of a foreign stack it finds the interrupted function, and no callers.
    pub(crate) fn stack(&self) -> CopiedStack<'a> {
        // Zero: every frame ends beyond it, so the walk ends with the first.
        let base = if self.is_foreign_stack { 0 } else { self.base };
        CopiedStack { registers: self.registers, base, start: self.start, bytes: bytes_of(self.words) }
    }
}

fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: the same memory, for as long; bytes have no alignment and no invalid values.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// What happened in the process since it began; the counts are all agents' together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SamplerStats {
    /// Samples put into a ring, with or without a stack.
    pub(crate) taken: u64,
    /// Of these, without a stack because the thread ran on another one than its own.
    pub(crate) foreign_stack: u64,
    /// Of these, with a stack that was cut off at 64 KiB.
    pub(crate) truncated: u64,
    /// Samples not taken because the thread's ring was full.
    pub(crate) ring_full: u64,
    /// Samples not taken because of the limit of 5,000 a second.
    pub(crate) rate_limited: u64,
    /// Samples lost because another agent of the process drained them and theirs did not fetch them for too long, or is
    /// gone.
    pub(crate) queue_full: u64,
    /// Ticks that found no traced poll running.
    pub(crate) idle_ticks: u64,
    /// Ticks that were taken back at the end of a poll, because the thread was likely to rest.
    pub(crate) stopped: u64,
    /// Ticks that never arrived: another handler ate them, or the thread blocks the signal.
    pub(crate) lost_ticks: u64,
    /// Times that no timer was armed because its signal would have killed the process: somebody has put the default
    /// action back.
    pub(crate) withheld: u64,
    /// Ticks of a timer that no longer exists.
    pub(crate) stale_ticks: u64,
    /// Signals that were not ours and went on to the handler before us.
    pub(crate) chained: u64,
    /// Threads that got no slot because `max_threads` had one.
    pub(crate) threads_refused: u64,
    /// Threads that got no slot because the kernel gave no timer or no memory.
    pub(crate) threads_failed: u64,
    /// The last error of these, as an errno; zero when there was none.
    pub(crate) last_errno: i32,
    /// Threads that blocked the signal when they got their slot.
    pub(crate) threads_blocking: u64,
    /// Slots that exist; they are used again and never freed.
    pub(crate) slots: u64,
    /// Of these, in use by a thread.
    pub(crate) slots_in_use: u64,
    /// Memory of all rings; resident once a thread's samples have gone around its ring.
    pub(crate) ring_bytes: u64,
    /// The signal in force.
    pub(crate) signal: Option<CpuSignal>,
    /// The rate in force.
    pub(crate) hz: u32,
    /// Nanoseconds that a tick takes of its thread; 0 where that is not known.
    pub(crate) tick_cost: u64,
    /// Whether another handler had taken our signal's place when it was last looked at (at most once a second).
    pub(crate) is_handler_replaced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_may_be_lower_takes_half_a_percent_of_a_thread_and_another_is_what_it_is() {
        let rate = SampleRate::AtMost(997);
        let rates = [0, 1, 2_000, 5_000, 12_000, 20_000, 50_000, 400_000, u64::MAX].map(|cost| rate.hz(cost));
        assert_eq!(rates, [997, 997, 997, 997, 416, 250, 100, 99, 99]);
        assert_eq!(SampleRate::AtMost(50).hz(400_000), 50, "what is lower already stays so");
        assert_eq!(SampleRate::Exactly(997).hz(40_000), 997);
    }
}
