//! What native capture does, as a user reads it.

/// Native capture: what is captured without a word in the code, and what it came to.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct NativeStats {
    /// Whether stacks are captured where a task waits and where it is woken.
    pub await_sites: bool,
    /// Whether CPU samples are taken.
    pub cpu_samples: bool,
    /// Samples a second of a thread that is busy with traced work: [`cpu_sample_hz`](crate::Config::cpu_sample_hz), or, if
    /// that was not written and is more, as many as take 0.5 % of the thread, but 99 at least. Of several agents in this
    /// process the highest.
    pub sample_hz: u32,
    /// Nanoseconds that a sample takes of its thread on this machine, with what the kernel does for a timer and a signal:
    /// measured a few milliseconds after the start, where `cpu_sample_hz` is not written. 0: not known.
    pub tick_nanos: u64,
    /// In a sentence: what is active, what is not and why, and what of the build to change for better names. It is
    /// complete when the symbols have been looked at, some time after the start.
    pub status: String,
    /// CPU samples taken in this process, those of other agents in it included.
    pub samples: u64,
    /// Of these, without a stack: the thread ran on another stack than its own (`stacker`, fibers).
    pub samples_without_stack: u64,
    /// Of these, with a stack that was cut off at 64 KiB: the outer functions are missing.
    pub samples_cut: u64,
    /// Ticks without a sample in this process: a full ring, more than 5,000 a second, or a trace that kept too many.
    pub samples_lost: u64,
    /// Ticks that never arrived in this process: another handler took them, or a thread blocks the signal.
    pub ticks_lost: u64,
    /// Whether another handler has taken the place of ours, at the last look.
    pub handler_replaced: bool,
    /// Threads without samples in this process, because `max_sampled_threads` had them.
    pub threads_refused: u64,
    /// Times that a thread of this process got no samples because the system gave it no timer, or no memory for its ring. It
    /// asks again when another thread has ended.
    pub threads_failed: u64,
    /// Times that a thread of this process was found to block the signal, in its first traced poll of an agent. It has no samples
    /// while it does.
    pub threads_blocking: u64,
    /// Times that no timer was armed in this process, because the signal would have ended it: its default action was in force.
    pub ticks_withheld: u64,
    /// Bytes of samples that wait for the end of their trace, now; 16 MiB at most.
    pub sample_bytes: u64,
    /// Bytes of the rings that samples go through, in this process: 256 KiB for each thread that was sampled.
    pub ring_bytes: u64,
    /// Bytes of symbols, now; bounded by `max_symbol_bytes`.
    pub symbol_bytes: u64,
    /// The most bytes of symbols so far.
    pub symbol_bytes_peak: u64,
}
