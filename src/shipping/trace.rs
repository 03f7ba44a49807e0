//! Finished traces, as adapters see them.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::batch::{Batch, Item};
use super::outbox::Weighted;
use crate::encode::collapsed;
use crate::encode::gzip::gzip;
use crate::encode::pprof::{self, ProfileMeta};
use crate::model::ids::TraceId;
use crate::model::profile::{Profile, ProfileNode};

mod stored;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "grpc")]
mod thin;

/// A finished trace: one unit of work, and where its time went. Read-only; clones share it.
#[derive(Clone)]
pub struct Trace(Arc<TraceData>);

/// What a [`Trace`] is made of.
pub(crate) struct TraceParts {
    /// The trace's id.
    pub(crate) id: TraceId,
    /// The kind of work, e.g. `axum.request`.
    pub(crate) event_name: Arc<str>,
    /// The work itself, e.g. `GET /users/{id}`.
    pub(crate) identifier: Arc<str>,
    /// When the trace began.
    pub(crate) captured_at: SystemTime,
    /// The tree, filtered already.
    pub(crate) profile: Profile,
    /// What this process is; shared by all traces.
    pub(crate) origin: Arc<Origin>,
    /// Whether it was cut before its work had ended.
    pub(crate) truncated: bool,
    /// Whether detail was left out to stay within a bound.
    pub(crate) thinned: bool,
    /// Whatever has to be held while the trace exists, such as its share of a memory budget.
    #[expect(dead_code, reason = "held, not read")]
    pub(crate) reservation: Option<Reservation>,
    /// Called when the trace will not reach its destination.
    pub(crate) on_given_up: Option<OnGivenUp>,
}

/// Something that is released when the last clone of a trace is dropped.
pub(crate) type Reservation = Box<dyn Any + Send + Sync>;

/// See [`TraceParts::on_given_up`].
pub(crate) type OnGivenUp = Box<dyn FnOnce() + Send + Sync>;

/// What a process calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The configured `service`.
    pub(crate) service: Arc<str>,
    /// The configured `environment`.
    pub(crate) environment: Arc<str>,
    /// The configured `release`.
    pub(crate) release: Arc<str>,
}

struct TraceData {
    parts: TraceParts,
    duration: Duration,
    on_given_up: Mutex<Option<OnGivenUp>>,
    /// The length of the last encoding that was handed out.
    encoded: AtomicU64,
    /// Whether the last message that carried it had to leave detail out.
    is_thinned_to_fit: AtomicBool,
}

impl Trace {
    /// Finishes a trace. Its duration is the sum of the profile's own times.
    pub(crate) fn new(mut parts: TraceParts) -> Self {
        let on_given_up = Mutex::new(parts.on_given_up.take());
        let duration = parts.profile.total().into();
        let (encoded, is_thinned_to_fit) = Default::default();
        Self(Arc::new(TraceData { parts, duration, on_given_up, encoded, is_thinned_to_fit }))
    }

    /// The trace's id, which the error events captured in it carry as well.
    pub fn id(&self) -> TraceId {
        self.0.parts.id
    }

    /// The kind of work, e.g. `axum.request`.
    pub fn event_name(&self) -> &str {
        &self.0.parts.event_name
    }

    /// The work itself, e.g. `GET /users/{id}`.
    pub fn identifier(&self) -> &str {
        &self.0.parts.identifier
    }

    /// How long the trace took, to the nanosecond.
    pub fn duration(&self) -> Duration {
        self.0.duration
    }

    /// When the trace began, by the system's clock.
    pub fn captured_at(&self) -> SystemTime {
        self.0.parts.captured_at
    }

    /// Whether the trace was cut before its work had ended: at `max_trace_duration_ms`, or by a shutdown.
    pub fn is_truncated(&self) -> bool {
        self.0.parts.truncated
    }

    /// Whether frames were left out to stay within a bound; their time is with the nearest frame kept.
    pub fn is_thinned(&self) -> bool {
        self.0.parts.thinned
    }

    /// The paths that have time of their own, root to leaf and joined by `;`, with that time.
    ///
    /// The own times sum to the duration. In a name, `;` is shown as `:` and a line break as a space.
    /// The text is owned and made one path at a time: all paths of a deep trace are far larger than the trace.
    pub fn paths(&self) -> impl Iterator<Item = (String, Duration)> {
        collapsed::paths(&self.0.parts.profile).map(|(path, own)| (path, own.into()))
    }

    /// Whether a frame has this name, or begins with it and a space (so `CALL postgres` finds the call
    /// whatever its message, and `axum.request` the root).
    pub fn contains(&self, frame: &str) -> bool {
        let is_it = |name: &str| name.strip_prefix(frame).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        let profile = &self.0.parts.profile;
        profile.nodes.iter().any(|node| name_of(profile, node).is_some_and(is_it))
    }

    /// The profile in pprof's format, not compressed.
    ///
    /// Encoded at each call and not kept: the encoding is often larger than the trace, and a trace that waits
    /// would hold both.
    pub fn pprof(&self) -> Vec<u8> {
        self.noted(self.encode())
    }

    /// The profile in pprof's format, compressed by gzip: what a `.pb.gz` file holds. As costly as [`Trace::pprof`].
    pub fn pprof_gz(&self) -> Vec<u8> {
        self.noted(gzip(&self.encode()))
    }

    /// The profile as lines of `path microseconds`, as flame graph tools read it.
    pub fn collapsed(&self) -> String {
        collapsed::collapsed(&self.0.parts.profile)
    }

    /// What the profile's comments say: service, environment and release, and `truncated` and `thinned` where
    /// they apply.
    pub(crate) fn comments(&self) -> Vec<String> {
        let parts = &self.0.parts;
        let Origin { service, environment, release } = &*parts.origin;
        let mut comments =
            vec![format!("service={service}"), format!("environment={environment}"), format!("release={release}")];
        comments.extend(parts.truncated.then(|| "truncated".to_owned()));
        comments.extend(parts.thinned.then(|| "thinned".to_owned()));
        comments
    }

    /// The length of the encoding that an adapter took last; 0 if none did.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.0.encoded.load(Ordering::Relaxed)
    }

    fn encode(&self) -> Vec<u8> {
        self.encode_as(&self.0.parts.profile, &self.comments())
    }

    fn encode_as(&self, profile: &Profile, comments: &[String]) -> Vec<u8> {
        let meta = ProfileMeta { time_unix_nanos: unix_nanos(self.captured_at()), duration: profile.total(), comments };
        pprof::encode(profile, &meta)
    }

    fn noted(&self, encoding: Vec<u8>) -> Vec<u8> {
        // Relaxed: a figure for the statistics.
        self.0.encoded.store(u64::try_from(encoding.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        encoding
    }
}

impl Item for Trace {
    /// Tells whoever wants to know; the first call does.
    fn give_up(&self) {
        let on_given_up = self.0.on_given_up.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tell) = on_given_up {
            tell();
        }
    }

    fn is_thinned_to_fit(&self) -> bool {
        self.0.is_thinned_to_fit.load(Ordering::Relaxed)
    }

    fn to_spool(&self) -> Vec<u8> {
        stored::write(self)
    }

    fn from_spool(bytes: &[u8]) -> Option<Self> {
        stored::read(bytes)
    }
}

impl Weighted for Trace {
    fn weight_bytes(&self) -> usize {
        let TraceParts { event_name, identifier, profile, .. } = &self.0.parts;
        size_of::<TraceData>() + 3 * ARC_HEADER + event_name.len() + identifier.len() + profile.bytes()
    }
}

/// The two counters before an `Arc`'s content.
const ARC_HEADER: usize = 2 * size_of::<usize>();

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("id", &self.id())
            .field("event_name", &self.event_name())
            .field("identifier", &self.identifier())
            .field("duration", &self.duration())
            .field("paths", &self.0.parts.profile.nodes.len())
            .finish_non_exhaustive()
    }
}

/// Traces that are shipped together. Clones share them.
#[derive(Debug, Clone)]
pub struct TraceBatch(Arc<[Trace]>);

impl TraceBatch {
    /// The traces, in the order in which they were finished; never empty, at most `max_batch_size`.
    pub fn traces(&self) -> &[Trace] {
        &self.0
    }
}

impl Batch for TraceBatch {
    type Item = Trace;

    const NAME: &'static str = "traces";

    fn new(traces: Vec<Trace>) -> Self {
        Self(traces.into())
    }

    fn items(&self) -> &[Trace] {
        &self.0
    }

    fn encoded_bytes(&self) -> u64 {
        self.0.iter().map(Trace::encoded_bytes).sum()
    }
}

/// The Unix time in nanoseconds; 0 before 1970, and the largest number past 2262.
fn unix_nanos(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

fn name_of<'a>(profile: &'a Profile, node: &ProfileNode) -> Option<&'a str> {
    profile.frames.get(usize::try_from(node.frame).ok()?).map(|frame| &*frame.name)
}
