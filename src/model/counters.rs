//! Everything the agent counts, and every reason for which it drops something.

use std::sync::atomic::{AtomicU64, Ordering};

use super::native_stats::NativeStats;
use super::queue_stats::QueueStats;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident => $field:ident,)+) => {
        /// What can be counted; one for each number in [`Stats`] that only grows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Count {
            $($(#[doc = $doc])+ $variant,)+
        }

        /// How many counters there are.
        const COUNTS: usize = [$(Count::$variant),+].len();

        /// What the agent has done since it started, and what it has dropped, by reason.
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $doc])+ pub $field: u64,)+
            /// Traces that a shipper has accepted.
            pub shipped: u64,
            /// Encoded bytes that a shipper has accepted.
            pub shipped_bytes: u64,
            /// Batches that a shipper has accepted.
            pub batches: u64,
            /// Dropped: the outbox was full, and this was its oldest trace.
            pub evicted: u64,
            /// Dropped: the shipper's error was permanent (a server's `success: false` among them).
            pub rejected: u64,
            /// Dropped: the batch was tried in vain for as long as one is tried, or the shipper panicked or blocked.
            pub send_failed: u64,
            /// Traces that went to `spool_dir`, from where they are sent later: see `trace_queue.spool`.
            pub spooled: u64,
            /// Adapter calls for traces that panicked.
            pub adapter_panics: u64,
            /// Adapter calls for traces that went on past their deadline and were abandoned.
            pub adapter_abandoned: u64,
            /// Units of work that the dice left out.
            pub sampled_out: u64,
            /// Traces that run or are being finished now.
            pub active_traces: u64,
            /// Bytes of chunks, trees and finished traces now, bounded by `max_capture_bytes`.
            pub capture_bytes: u64,
            /// Finished traces that wait in the outbox, or are with the shipper, now.
            pub outbox_traces: u64,
            /// Bytes that wait in the outbox now, bounded by `max_outbox_bytes`.
            pub outbox_bytes: u64,
            /// Whether the circuit breaker stops new traces now.
            pub breaker_open: bool,
            /// Whether the agent runs (not paused, not stopped, intensity of restarts not exceeded).
            pub running: bool,
            /// Native capture: what is active, and what it came to.
            pub native: NativeStats,
            /// How the shipping of traces goes. Its numbers are a part of those above.
            pub trace_queue: QueueStats,
            /// How the shipping of error events goes.
            pub error_queue: QueueStats,
        }

        impl Stats {
            /// The admitted traces that are over, each by the one name that says what became of it: `started` less
            /// `active_traces` and `outbox_traces`, once nothing is on its way between two of them.
            pub fn settled(&self) -> u64 {
                self.shipped + self.spooled + self.below_threshold + self.deduplicated + self.never_run + self.lost()
            }

            /// Admitted traces that were worth shipping, or might have been, and were lost: what
            /// [`ShutdownReport::lost`](crate::ShutdownReport) counts.
            pub fn lost(&self) -> u64 {
                self.evicted
                    + self.rejected
                    + self.send_failed
                    + self.lost_at_shutdown
                    + self.inbox_full
                    + self.session_not_spawned
                    + self.session_crashed
                    + self.session_ended_by_restart
                    + self.finalize_timed_out
                    + self.finalize_failed
            }

            /// With what became of the traces that were handed over to be shipped.
            pub(crate) fn with_trace_queue(self, queue: QueueStats) -> Self {
                Self {
                    shipped: queue.sent,
                    shipped_bytes: queue.sent_bytes,
                    batches: queue.batches,
                    evicted: queue.evicted,
                    rejected: queue.rejected,
                    send_failed: queue.failed,
                    spooled: queue.spooled,
                    lost_at_shutdown: self.lost_at_shutdown + queue.lost_at_shutdown,
                    adapter_panics: queue.adapter_panics,
                    adapter_abandoned: queue.adapter_abandoned,
                    outbox_traces: queue.waiting,
                    outbox_bytes: queue.bytes,
                    trace_queue: queue,
                    ..self
                }
            }
        }

        impl Counters {
            /// Reads all counters. Each is exact; they are not read at one instant.
            pub(crate) fn read(&self) -> Stats {
                Stats { $($field: self.get(Count::$variant),)+ ..Stats::default() }
            }
        }
    };
}

counters! {
    /// Await sites captured: wakers cloned by a leaf future that was about to wait, each with its stack.
    AwaitSites => await_sites,
    /// Wakers cloned without a capture: past 16 in one poll, 2,000 in one trace, or 5 % of the trace's own CPU time.
    AwaitSitesBounded => await_sites_bounded,
    /// Traces shipped without native frames, because too many waited for their symbols already.
    WithoutSymbols => without_symbols,
    /// Polls with the stable waker, after one that went past such a bound: they show no await sites.
    StablePolls => stable_polls,
    /// Traces admitted: each later counts once in exactly one of `shipped`, `spooled`, `rejected`,
    /// `send_failed`, `evicted`, `lost_at_shutdown`, `below_threshold`, `deduplicated`, `never_run`, `session_not_spawned`,
    /// `session_crashed`, `session_ended_by_restart`, `inbox_full`, `finalize_timed_out`,
    /// `finalize_failed`, or waits in `active_traces` or `outbox_traces`.
    Started => started,
    /// Traces that ended below their threshold.
    BelowThreshold => below_threshold,
    /// Traces above their threshold whose identifier had shipped one within the dedupe window.
    Deduplicated => deduplicated,
    /// Traces whose scope was dropped before any work ran in it.
    NeverRun => never_run,
    /// Traces whose work completed.
    Done => done,
    /// Traces whose scope was dropped before its work completed.
    Cancelled => cancelled,
    /// Traces that a stopper ended.
    Stopped => stopped,
    /// Traces whose work panicked.
    Panicked => panicked,
    /// Traces cut at `max_trace_duration_ms` or by shutdown.
    Truncated => truncated,
    /// Not traced: the event has `capture = false`.
    SkippedEventOff => skipped_event_off,
    /// Not traced: the circuit breaker was open.
    SkippedBreaker => skipped_breaker,
    /// Not traced: the handlers said so, or none knew the event.
    SkippedByHandler => skipped_by_handler,
    /// Panics of the host's own rules: of a handler, or of the closure for metadata or identifier, and the work was
    /// not traced; of a rule of the HTTP layer, and it was taken as not set.
    HandlerPanics => handler_panics,
    /// Not traced: the identifier has shipped a trace within the dedupe window.
    SkippedDedupe => skipped_dedupe,
    /// Not traced: `max_active_traces` were active.
    SkippedMaxActive => skipped_max_active,
    /// Not traced: an eighth of `max_active_traces` were of the same identifier.
    SkippedMaxPerIdentifier => skipped_max_per_identifier,
    /// Not traced: no memory was left under `max_capture_bytes`.
    SkippedMemory => skipped_memory,
    /// Not traced: the agent was using too much CPU.
    SkippedCpu => skipped_cpu,
    /// Dropped: more traces were just begun than the agent keeps track of, and its inbox was full.
    InboxFull => inbox_full,
    /// Dropped: no session could be started in time.
    SessionNotSpawned => session_not_spawned,
    /// Dropped: the session crashed.
    SessionCrashed => session_crashed,
    /// Dropped: the session was ended by the restart of its supervisor.
    SessionEndedByRestart => session_ended_by_restart,
    /// Dropped: no finalisation permit, or no end of it, within 10 s.
    FinalizeTimedOut => finalize_timed_out,
    /// Dropped: the finalisation panicked.
    FinalizeFailed => finalize_failed,
    /// Dropped: not sent when the shutdown's limit was over.
    LostAtShutdown => lost_at_shutdown,
    /// Events of traces: those that sessions have read, and those of traces that their threads have discarded.
    Events => events,
    /// Frames left out because a budget was used up.
    SuppressedFrames => suppressed_frames,
    /// Frames left out because the stack was deeper than `max_stack_depth`.
    SuppressedDepth => suppressed_depth,
    /// Paths folded into an ancestor because the tree had `max_stacks` nodes.
    FoldedPaths => folded_paths,
    /// Times a recorder ran out of chunks.
    Starved => starved,
    /// Frame guards dropped in a later poll, or in another trace, than the one they were opened in. One that is
    /// dropped where no trace runs is not seen.
    LateGuards => late_guards,
    /// Nanoseconds by which readings of the clock went back.
    ClampedNanos => clamped_ns,
    /// Call messages delivered to a session.
    CallsRouted => calls_routed,
    /// Call messages for a trace that had ended, or that found no room.
    CallsDropped => calls_dropped,
    /// Names given to `emit` that end no trace of the current task.
    EmitIgnored => emit_ignored,
    /// Actors restarted by the supervisor.
    Restarts => restarts,
    /// Times the memory watcher opened the circuit breaker.
    BreakerTrips => breaker_trips,
    /// Error events that were captured and queued: what became of each says `error_queue`, or
    /// `errors_dropped_by_host`, or `before_send_panics`.
    ErrorsCaptured => errors_captured,
    /// Of `errors_captured`: panics.
    PanicsCaptured => panics_captured,
    /// Not captured: the same error was captured in the same context within `error_dedupe_window_ms`.
    ErrorsDeduplicated => errors_deduplicated,
    /// Not captured: the agent does not capture errors, or has stopped.
    ErrorsNotRunning => errors_not_running,
    /// Not captured: reported by the host's own code while it was asked about another error.
    ErrorsWithinCapture => errors_within_capture,
    /// Captured without a backtrace, only with the place of the capture: another one was being resolved.
    BacktracesSkipped => backtraces_skipped,
    /// Not captured: the error's own code panicked.
    ErrorCapturePanics => error_capture_panics,
    /// Dropped: `before_send` said so.
    ErrorsDroppedByHost => errors_dropped_by_host,
    /// Dropped: `before_send` panicked.
    BeforeSendPanics => before_send_panics,
    /// Changes of an error context that were left out: on a runtime's thread outside of any, or within another change.
    ErrorContextsIgnored => error_contexts_ignored,
    /// Traces whose degraded recording left out frames after `max_events`.
    Degraded => degraded,
}

/// The counters themselves, shared by all parts of one agent.
#[derive(Debug)]
pub(crate) struct Counters([AtomicU64; COUNTS]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; COUNTS])
    }
}

impl Counters {
    /// Adds one.
    pub(crate) fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// Adds `n`.
    pub(crate) fn add(&self, what: Count, n: u64) {
        // Relaxed: a counter orders nothing.
        if let Some(counter) = self.0.get(what as usize) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// The present value.
    pub(crate) fn get(&self, what: Count) -> u64 {
        self.0.get(what as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read() {
        let counters = Counters::default();
        counters.count(Count::Started);
        counters.add(Count::ClampedNanos, 7);
        let stats = counters.read();
        assert_eq!((stats.started, stats.clamped_ns, stats.done), (1, 7, 0));
    }
}
