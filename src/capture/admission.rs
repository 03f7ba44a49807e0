//! Whether a unit of work is traced: decided in the caller's thread, cheapest question first.
//!
//! ```text
//! inside a trace? ─► a frame of it, and nothing else is asked
//! agent on? ─► dice (highest rate) ─► event off? ─► own rate ─► breaker, CPU ─► handler ─► dedupe ─► permit
//! ```

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::chunk::ChunkRef;
use super::core::{CaptureCore, InboxItem, Shut};
use super::current;
use super::dice::{Roll, random_bits};
use super::frame::NAMES;
use super::native::fork;
use super::recorder::Recorder;
use super::rules::Rules;
use super::scope::Scope;
use super::trace::{SharedTrace, TraceHeader};
use crate::model::counters::Count;
use crate::model::event::base_name;
use crate::model::event::{Capture, Decision, Metadata, StartEvent};
use crate::model::handler::{OTHER_THRESHOLD, decide, default_threshold, known_name};
use crate::model::ids::TraceId;
use crate::safety::identifier::IdentifierKey;
use crate::safety::permits::{Permit, Refused};

/// From this `max_trace_duration` on the Collector may learn of a trace at its sweep, which comes every second.
const QUIET_FROM: Duration = Duration::from_secs(60);

/// Below this one not even at its next look, which may take 20 ms.
const HURRY_BELOW: Duration = Duration::from_secs(1);

/// Whether the dice decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dice {
    /// They do.
    Rolled,
    /// Traced whatever they say; everything else still holds.
    #[cfg_attr(not(feature = "tower"), expect(dead_code, reason = "only the HTTP layer forces"))]
    Forced,
}

/// A unit of work named in code.
#[inline]
pub(crate) fn unit<I: Into<String>>(
    core: &Arc<CaptureCore>,
    name: &'static str,
    identifier: impl FnOnce() -> I,
) -> Scope {
    match start(core, Dice::Rolled) {
        Start::Frame => Scope::frame(NAMES.intern(name)),
        Start::Off => Scope::none(),
        Start::Sampled(roll) => admit_unit(core, name, identifier, roll),
    }
}

/// A telemetry event: the handlers decide.
#[inline]
pub(crate) fn event<'m>(
    core: &Arc<CaptureCore>,
    name: &'m str,
    dice: Dice,
    metadata: impl FnOnce() -> Metadata<'m>,
) -> Scope {
    match start(core, dice) {
        Start::Frame => Scope::frame(NAMES.intern(base_name(name))),
        Start::Off => Scope::none(),
        Start::Sampled(roll) => admit_event(core, name, metadata, roll),
    }
}

enum Start {
    Off,
    Frame,
    Sampled(Roll),
}

#[inline]
fn start(core: &CaptureCore, dice: Dice) -> Start {
    if current::is_inside(core.agent) {
        return Start::Frame;
    }
    if !core.is_on() {
        return Start::Off;
    }
    let roll = match dice {
        Dice::Rolled => core.dice.roll(),
        Dice::Forced => Some(Roll::FORCED),
    };
    roll.map_or(Start::Off, Start::Sampled)
}

#[cold]
fn admit_unit<I: Into<String>>(
    core: &Arc<CaptureCore>,
    name: &'static str,
    identifier: impl FnOnce() -> I,
    roll: Roll,
) -> Scope {
    admit(core, Name { name, fixed: Some(name) }, roll, || {
        let identifier = catch_unwind(AssertUnwindSafe(|| identifier().into()));
        identifier.map(|identifier| Capture::new(name, identifier)).map_err(discard_panic)
    })
}

#[cold]
fn admit_event<'m>(
    core: &Arc<CaptureCore>,
    name: &'m str,
    metadata: impl FnOnce() -> Metadata<'m>,
    roll: Roll,
) -> Scope {
    admit(core, Name { name, fixed: known_name(name) }, roll, || {
        let asked = catch_unwind(AssertUnwindSafe(|| decide(&core.handlers.0, &StartEvent::new(name, metadata()))));
        match asked.map_err(discard_panic)? {
            Decision::Capture(capture) => Ok(capture),
            Decision::Skip | Decision::Next => Err(Refusal::Counted(Count::SkippedByHandler)),
        }
    })
}

/// What a unit of work was started by.
#[derive(Clone, Copy)]
struct Name<'m> {
    name: &'m str,
    /// The same where it needs no copy.
    fixed: Option<&'static str>,
}

impl Name<'_> {
    fn started_by(self) -> Cow<'static, str> {
        let copy = || Cow::Owned(base_name(self.name).to_owned());
        self.fixed.map_or_else(copy, |fixed| Cow::Borrowed(base_name(fixed)))
    }
}

/// Why a sampled unit of work is not traced after all.
enum Refusal {
    /// Its own rate is below the highest one, or it is the agent's own work.
    NotSampled,
    Counted(Count),
    /// Its trace was admitted, and has been settled.
    Settled,
}

/// A panic of the user's handler, metadata or identifier closure ends here. The payload's own drop may panic
/// too, so it is leaked: a few bytes, once a panic.
fn discard_panic(payload: Box<dyn Any + Send>) -> Refusal {
    std::mem::forget(payload);
    Refusal::Counted(Count::HandlerPanics)
}

fn admit(core: &Arc<CaptureCore>, name: Name<'_>, roll: Roll, ask: impl FnOnce() -> Result<Capture, Refusal>) -> Scope {
    match try_admit(core, name, roll, ask) {
        Ok(recorder) => Scope::traced(recorder),
        Err(Refusal::NotSampled) => {
            core.dice.count_one();
            Scope::none()
        }
        Err(Refusal::Counted(reason)) => {
            core.counters.count(reason);
            Scope::none()
        }
        Err(Refusal::Settled) => Scope::none(),
    }
}

fn try_admit(
    core: &Arc<CaptureCore>,
    started_by: Name<'_>,
    roll: Roll,
    ask: impl FnOnce() -> Result<Capture, Refusal>,
) -> Result<Box<Recorder>, Refusal> {
    if current::is_in_agent() || fork::is_forked_child() {
        return Err(Refusal::NotSampled);
    }
    let rules = core.rules();
    let name = base_name(started_by.name);
    let event = rules.of(name);
    if !event.capture {
        return Err(Refusal::Counted(Count::SkippedEventOff));
    }
    if roll != Roll::FORCED && !rules.rate_of(&event).admits(roll) {
        return Err(Refusal::NotSampled);
    }
    refuse_while_shut(core)?;
    let capture = ask()?;
    let default = default_threshold(name).unwrap_or(OTHER_THRESHOLD);
    let threshold = rules.threshold(&event, capture.threshold_or_none(), default);
    let header = TraceHeader { started_by: started_by.started_by(), capture, threshold: threshold.into() };
    let permit = acquire(core, &header)?;
    let chunk = core.chunks.take().ok_or(Refusal::Counted(Count::SkippedMemory))?;
    announce(core, &rules, header, permit, chunk)
}

fn refuse_while_shut(core: &CaptureCore) -> Result<(), Refusal> {
    if core.is_shut(Shut::Breaker) {
        return Err(Refusal::Counted(Count::SkippedBreaker));
    }
    if !core.cpu.admits() {
        return Err(Refusal::Counted(Count::SkippedCpu));
    }
    Ok(())
}

/// The last two questions: is the identifier's window closed, and is there room?
fn acquire(core: &CaptureCore, header: &TraceHeader) -> Result<Permit, Refusal> {
    let key = header.capture.is_deduplicated().then(|| IdentifierKey::of(header.capture.identifier()));
    if let Some(key) = key
        && core.dedupe.is_closed(key, core.now())
    {
        return Err(Refusal::Counted(Count::SkippedDedupe));
    }
    core.permits.try_acquire(key).map_err(|refused| {
        // Traces that have ended may hold the permits until the agent's next look.
        if !core.inbox.is_empty() {
            core.inbox.hurry();
        }
        Refusal::Counted(match refused {
            Refused::Total => Count::SkippedMaxActive,
            Refused::Identifier => Count::SkippedMaxPerIdentifier,
        })
    })
}

/// Puts the trace where the Collector finds it, and arms the recorder. Nobody has to read the trace before it signals:
/// it ends, fills some chunks, is stopped or makes a call; the Collector's sweep finds what sleeps.
fn announce(
    core: &Arc<CaptureCore>,
    rules: &Rules,
    header: TraceHeader,
    permit: Permit,
    chunk: ChunkRef,
) -> Result<Box<Recorder>, Refusal> {
    let id = TraceId::from_random(random_bits());
    let shared = Arc::new(SharedTrace::new(core.clone(), core.next_label(), id, header, permit, chunk.clone()));
    core.counters.count(Count::Started);
    // Its limit may not wait for the Collector's next sweep.
    let is_urgent = rules.limits.max_trace_duration < QUIET_FROM;
    let untold = if is_urgent { Err(shared.clone()) } else { core.fresh.keep(shared.clone()) };
    if untold.is_err_and(|trace| core.inbox.push(InboxItem::Started(trace)).is_err()) {
        shared.settle(Count::InboxFull);
        shared.close();
        return Err(Refusal::Settled);
    }
    if rules.limits.max_trace_duration < HURRY_BELOW {
        core.inbox.hurry();
    }
    Ok(Box::new(Recorder::new(shared, chunk, rules)))
}
