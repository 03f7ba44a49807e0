//! What every part of the capture of one agent shares.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::chunk::{CHUNK_BYTES, ChunkPool};
use super::clock::Clock;
use super::dice::UnitDice;
use super::fresh::FreshTraces;
use super::inbox::Inbox;
use super::lane::{ChunkLane, LanePool};
#[cfg(native_capture)]
use super::native::capture::NativeCapture;
use super::routes::Routes;
use super::rules::Rules;
use super::trace::SharedTrace;
use crate::model::counters::Counters;
use crate::model::event::EventHandler;
use crate::model::time::Nanos;
use crate::safety::budget::CaptureBudget;
use crate::safety::cpu::shed::CpuGate;
use crate::safety::dedupe::DedupeTable;
use crate::safety::permits::ActivePermits;

/// Signals that wait for the Collector, 8,192 x 16 bytes = 128 KiB: it is woken when 32 do, and 5 ms later reads what traces
/// of 1 µs can announce until then.
const INBOX_CAPACITY: usize = 8_192;

/// Tells the Collector about a trace.
#[derive(Debug)]
pub(crate) enum InboxItem {
    /// A trace was admitted, and the Collector must know of it before its next sweep.
    Started(Arc<SharedTrace>),
    /// A trace has a full chunk, a call or its end; the Collector may hear of it for the first time.
    Ready(Arc<SharedTrace>),
}

impl InboxItem {
    pub(crate) fn into_trace(self) -> Arc<SharedTrace> {
        let (Self::Started(trace) | Self::Ready(trace)) = self;
        trace
    }
}

/// Why new traces are refused; each is one bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Shut {
    /// The agent is not up, shuts down, or has given up.
    NotRunning = 1,
    /// `pause()`, or `capture` is off.
    Paused = 2,
    /// The circuit breaker: the memory watcher opened it.
    Breaker = 4,
}

/// What the dice do not even roll for.
const OFF: u8 = Shut::NotRunning as u8 | Shut::Paused as u8;

/// See the module.
#[derive(Debug)]
pub(crate) struct CaptureCore {
    /// Unique in the process.
    pub(crate) agent: u64,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) budget: CaptureBudget,
    pub(crate) chunks: Arc<ChunkPool>,
    pub(crate) inbox: Arc<Inbox<InboxItem>>,
    pub(crate) fresh: FreshTraces,
    pub(crate) routes: Routes,
    pub(crate) permits: ActivePermits,
    pub(crate) dedupe: DedupeTable,
    pub(crate) cpu: CpuGate,
    pub(crate) dice: UnitDice,
    pub(crate) handlers: Handlers,
    /// `None` when it is off.
    #[cfg(native_capture)]
    pub(crate) native: Option<Arc<NativeCapture>>,
    made_raw: u64,
    gate: AtomicU8,
    rules: RwLock<Arc<Rules>>,
    lanes: LanePool,
}

/// The handlers, in the order in which they are asked.
#[derive(Default)]
pub(crate) struct Handlers(pub(crate) Vec<Arc<dyn EventHandler>>);

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} handlers", self.0.len())
    }
}

/// What a core is made of.
pub(crate) struct CoreParts {
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) budget: CaptureBudget,
    pub(crate) permits: ActivePermits,
    pub(crate) dedupe: DedupeTable,
    pub(crate) handlers: Handlers,
    pub(crate) rules: Rules,
    #[cfg(native_capture)]
    pub(crate) native: Option<Arc<NativeCapture>>,
}

static NEXT_AGENT: AtomicU64 = AtomicU64::new(1);
static NEXT_LABEL: AtomicU64 = AtomicU64::new(1);

impl CaptureCore {
    /// A core whose gate is shut ([`Shut::NotRunning`]).
    pub(crate) fn new(parts: CoreParts) -> Arc<Self> {
        let agent = NEXT_AGENT.fetch_add(1, Ordering::Relaxed);
        let made_raw = parts.clock.raw();
        Arc::new(Self {
            agent,
            clock: parts.clock,
            counters: parts.counters,
            chunks: ChunkPool::new(parts.budget.clone()),
            lanes: LanePool::new(parts.budget.clone()),
            budget: parts.budget,
            inbox: Inbox::new(INBOX_CAPACITY),
            fresh: FreshTraces::default(),
            routes: Routes::default(),
            permits: parts.permits,
            dedupe: parts.dedupe,
            cpu: CpuGate::default(),
            dice: UnitDice::new(parts.rules.highest_rate()),
            handlers: parts.handlers,
            #[cfg(native_capture)]
            native: parts.native,
            made_raw,
            gate: AtomicU8::new(Shut::NotRunning as u8),
            rules: RwLock::new(Arc::new(parts.rules)),
        })
    }

    /// Whether native stacks are captured.
    pub(crate) fn has_native(&self) -> bool {
        #[cfg(native_capture)]
        return self.native.is_some();
        #[cfg(not(native_capture))]
        false
    }

    /// Whether the dice are rolled at all.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // Relaxed: on or off a moment later is the same to everybody.
        self.gate.load(Ordering::Relaxed) & OFF == 0
    }

    /// Whether `reason` keeps new traces out.
    pub(crate) fn is_shut(&self, reason: Shut) -> bool {
        self.gate.load(Ordering::Relaxed) & reason as u8 != 0
    }

    /// Keeps new traces out for `reason`; says whether that is news.
    pub(crate) fn shut(&self, reason: Shut) -> bool {
        self.gate.fetch_or(reason as u8, Ordering::Relaxed) & reason as u8 == 0
    }

    /// Takes `reason` back; says whether it was in force.
    pub(crate) fn open(&self, reason: Shut) -> bool {
        self.gate.fetch_and(!(reason as u8), Ordering::Relaxed) & reason as u8 != 0
    }

    /// Rates, thresholds and limits as they are now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts new rules into force for traces that start from now on.
    pub(crate) fn set_rules(&self, rules: Rules) {
        let mut current = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        self.dice.set_limit(rules.highest_rate());
        *current = Arc::new(rules);
    }

    /// A label that no other trace of this process has or had.
    pub(crate) fn next_label(&self) -> u64 {
        NEXT_LABEL.fetch_add(1, Ordering::Relaxed)
    }

    /// Time since this core was made: what windows and intervals are measured in.
    pub(crate) fn now(&self) -> Nanos {
        self.clock.between(self.made_raw, self.clock.raw())
    }

    /// An empty lane for the chunks that a trace may have waiting besides its first; `None` when no memory is left.
    pub(crate) fn take_lane(&self) -> Option<Box<ChunkLane>> {
        let bytes = self.rules().limits.trace_buffer_size_bytes as u64;
        let chunks = usize::try_from(bytes / CHUNK_BYTES).unwrap_or(usize::MAX);
        self.lanes.take(chunks.saturating_sub(1))
    }

    /// Takes a lane back.
    pub(crate) fn return_lane(&self, lane: Box<ChunkLane>) {
        self.lanes.give_back(lane);
    }

    /// Frees what waits for reuse.
    pub(crate) fn release_idle(&self) {
        self.chunks.release_idle();
        self.lanes.release_idle();
    }
}
