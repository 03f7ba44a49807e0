//! What every capture of one agent shares.

use std::backtrace::Backtrace;
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::capture::native::fork;
use crate::model::counters::{Count, Counters};
use crate::model::error_dedupe::ErrorDedupe;
use crate::model::error_event::{ErrorEvent, EventOrigin};
use crate::model::time::Nanos;

/// Agents that capture errors now. While there is none, every function of the API ends after this one load.
static CAPTURING: AtomicUsize = AtomicUsize::new(0);

/// Whether any agent of this process captures errors.
#[inline]
pub(crate) fn is_any_capturing() -> bool {
    // Relaxed: on or off a moment later is the same to everybody.
    CAPTURING.load(Ordering::Relaxed) > 0
}

/// Takes an event out of the host's thread. Must not wait.
pub(crate) type Queue = Box<dyn Fn(ErrorEvent, Option<Backtrace>) + Send + Sync>;
/// Ships what is queued, within the limit.
pub(crate) type Flush = Box<dyn Fn(Duration) + Send + Sync>;

/// See the module.
pub(crate) struct ErrorCore {
    pub(crate) counters: Arc<Counters>,
    pub(crate) origin: EventOrigin,
    pub(crate) limits: Arc<LiveLimits>,
    /// Hashes the kinds of errors.
    pub(crate) hasher: RandomState,
    /// What was sent outside of every context.
    pub(crate) outside: Mutex<ErrorDedupe>,
    /// Whether error records of loggers are captured.
    pub(crate) captures_logs: bool,
    queue: Queue,
    flush: OnceLock<Flush>,
    is_open: AtomicBool,
    made: Instant,
}

/// The limits that a reload may change.
#[derive(Debug)]
pub(crate) struct LiveLimits {
    max_string_length: AtomicUsize,
    max_breadcrumbs: AtomicUsize,
    dedupe_window: AtomicU64,
}

impl LiveLimits {
    /// The limits to begin with.
    pub(crate) fn new(max_string_length: usize, max_breadcrumbs: usize, dedupe_window: Duration) -> Self {
        let limits = Self {
            max_string_length: AtomicUsize::new(0),
            max_breadcrumbs: AtomicUsize::new(0),
            dedupe_window: AtomicU64::new(0),
        };
        limits.set(max_string_length, max_breadcrumbs, dedupe_window);
        limits
    }

    /// Puts other limits into force.
    pub(crate) fn set(&self, max_string_length: usize, max_breadcrumbs: usize, dedupe_window: Duration) {
        self.max_string_length.store(max_string_length, Ordering::Relaxed);
        self.max_breadcrumbs.store(max_breadcrumbs, Ordering::Relaxed);
        self.dedupe_window.store(Nanos::from(dedupe_window).0, Ordering::Relaxed);
    }

    /// The longest text, in graphemes.
    pub(crate) fn max_string_length(&self) -> usize {
        self.max_string_length.load(Ordering::Relaxed)
    }

    /// The most breadcrumbs.
    pub(crate) fn max_breadcrumbs(&self) -> usize {
        self.max_breadcrumbs.load(Ordering::Relaxed)
    }

    /// How long duplicates are suppressed; zero: never.
    pub(crate) fn dedupe_window(&self) -> Nanos {
        Nanos(self.dedupe_window.load(Ordering::Relaxed))
    }
}

/// What an [`ErrorCore`] is made of.
pub(crate) struct ErrorCoreParts {
    pub(crate) counters: Arc<Counters>,
    pub(crate) origin: EventOrigin,
    pub(crate) limits: Arc<LiveLimits>,
    pub(crate) captures_logs: bool,
    pub(crate) queue: Queue,
}

impl ErrorCore {
    /// A core that is not open yet.
    pub(crate) fn new(parts: ErrorCoreParts) -> Arc<Self> {
        Arc::new(Self {
            counters: parts.counters,
            origin: parts.origin,
            limits: parts.limits,
            hasher: RandomState::new(),
            outside: Mutex::new(ErrorDedupe::new()),
            captures_logs: parts.captures_logs,
            queue: parts.queue,
            flush: OnceLock::new(),
            is_open: AtomicBool::new(false),
            made: Instant::now(),
        })
    }

    /// Captures from now on.
    pub(crate) fn open(&self) {
        if !self.is_open.swap(true, Ordering::AcqRel) {
            CAPTURING.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Captures nothing any more.
    pub(crate) fn close(&self) {
        if self.is_open.swap(false, Ordering::AcqRel) {
            CAPTURING.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether it captures. Not in a forked child, whose agent stayed in the parent.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed) && !fork::is_forked_child()
    }

    /// Time since this core was made.
    pub(crate) fn now(&self) -> Nanos {
        self.made.elapsed().into()
    }

    /// Hands an event over to the agent.
    pub(crate) fn queue(&self, event: ErrorEvent, backtrace: Option<Backtrace>) {
        self.counters.count(Count::ErrorsCaptured);
        (self.queue)(event, backtrace);
    }

    /// Says how to ship at once; the first call counts.
    pub(crate) fn set_flush(&self, flush: Flush) {
        // `Err`: said before.
        self.flush.set(flush).ok();
    }

    /// Ships what is queued, within `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        if let Some(flush) = self.flush.get() {
            flush(limit);
        }
    }
}

impl std::fmt::Debug for ErrorCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErrorCore").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Drop for ErrorCore {
    fn drop(&mut self) {
        self.close();
    }
}
