//! Error events: what is known of one error, as it leaves the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::ids::{EventId, TraceId};

/// What stands where a secret was.
pub(crate) const REDACTED: &str = "[REDACTED]";

/// How bad an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Severity {
    /// Of interest to who works on the code.
    Debug,
    /// Worth knowing.
    Info,
    /// May become a problem.
    Warning,
    /// Something failed. The default.
    #[default]
    Error,
    /// The process, or a part of it, cannot go on.
    Fatal,
}

impl Severity {
    /// The word that the server knows it by: `debug`, `info`, `warning`, `error` or `fatal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl serde::Serialize for Severity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn as_unix_millis<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Without serde's feature `rc`, which would be turned on for the host too.
fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// One error, as it leaves the process: what `before_send` sees and may change, and what adapters ship. Redacted and
/// cut to its limits before it was queued.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ErrorEvent {
    /// Names this event.
    pub event_id: EventId,
    /// When it was captured, by the system's clock.
    #[serde(rename = "occurred_at_ms", serialize_with = "as_unix_millis")]
    pub occurred_at: SystemTime,
    /// The configured `environment`.
    #[serde(serialize_with = "as_text")]
    pub environment: Arc<str>,
    /// The configured `service`.
    #[serde(serialize_with = "as_text")]
    pub service: Arc<str>,
    /// The configured `release`.
    #[serde(serialize_with = "as_text")]
    pub release: Arc<str>,
    /// What kind of work failed: `GET /users/{id}`, `oban.job`, `live_view.event`, `logger.error`; else empty.
    pub route: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened.
    pub message: String,
    /// Whether the code knew what to do about it. `false` for panics, failed requests and error log records.
    pub handled: bool,
    /// The trace it happened in, which is shipped under the same id if it is slow enough.
    pub trace_id: Option<TraceId>,
    /// The span it happened in, where another tracer was asked for one; else empty.
    pub span_id: String,
    /// Errors of one fingerprint belong together, whatever their messages; empty = the server decides.
    pub fingerprint: Vec<String>,
    /// The captured error first, its root cause last; empty for a message.
    pub exceptions: Vec<Exception>,
    /// The HTTP request that was handled.
    pub request: Option<RequestContext>,
    /// For whom the work was done.
    pub user: Option<User>,
    /// What happened before, in order; the latest `max_breadcrumbs`.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// Short facts to search by.
    pub tags: BTreeMap<String, String>,
    /// Longer facts by name; structured values are compact JSON.
    pub contexts: BTreeMap<String, String>,
}

/// One error of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Exception {
    /// The error's type, where it can be known; `panic` for a panic; else empty.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What the error says.
    pub value: String,
    /// Where it happened, innermost call first; only the first error of a chain has frames.
    pub frames: Vec<StackFrame>,
}

/// One call of a backtrace.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct StackFrame {
    /// The function's path, without the compiler's hash.
    pub function: String,
    /// The path of the module it is in.
    pub module: String,
    /// The source file as the compiler knew it, shortened to its crate where that can be told.
    pub file: String,
    /// The line, from 1; 0 where it is not known.
    pub line: u32,
    /// The column, from 1; 0 where it is not known.
    pub column: u32,
    /// Whether it is the user's own code.
    pub in_app: bool,
    /// The source file in full.
    pub abs_path: String,
    /// The source line; empty unless `source_context` is on and the file can be read.
    pub context_line: String,
    /// Up to five lines before it.
    pub pre_context: Vec<String>,
    /// Up to five lines after it.
    pub post_context: Vec<String>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct RequestContext {
    /// The method.
    pub method: String,
    /// The URL; secrets in its query are redacted.
    pub url: String,
    /// The pattern of the route that matched.
    pub route: String,
    /// The headers in their order; secret ones are redacted.
    pub headers: Vec<(String, String)>,
    /// Where the request came from.
    pub remote_addr: String,
}

impl RequestContext {
    /// A request of which only these two are known.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), ..Self::default() }
    }

    /// Says the pattern of the route that matched; it is the event's route too, unless that has one of its own.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = route.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Says where the request came from.
    #[must_use]
    pub fn remote_addr(mut self, address: impl Into<String>) -> Self {
        self.remote_addr = address.into();
        self
    }
}

/// A user of the service.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct User {
    /// What the service knows the user by.
    pub id: Option<String>,
    /// The address for mail.
    pub email: Option<String>,
    /// The name to show.
    pub username: Option<String>,
    /// Where the user came from.
    pub ip_address: Option<String>,
}

impl User {
    /// A user of whom the id is known.
    pub fn id(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }

    /// Says the address for mail.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Says the name to show.
    #[must_use]
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// Says where the user came from.
    #[must_use]
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.ip_address = Some(address.into());
        self
    }
}

/// Something that happened before an error.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Breadcrumb {
    /// When it was made.
    #[serde(rename = "timestamp_ms", serialize_with = "as_unix_millis")]
    pub timestamp: SystemTime,
    /// What part of the service it is from.
    pub category: String,
    /// What happened.
    pub message: String,
    /// What sort of thing it is; `default` unless said otherwise.
    #[serde(rename = "type")]
    pub kind: String,
    /// How bad it was; [`Severity::Info`] unless said otherwise.
    pub level: Severity,
    /// Further facts.
    pub data: BTreeMap<String, String>,
}

impl Breadcrumb {
    /// A breadcrumb of the time `timestamp`, of kind `default` and level `info`.
    pub(crate) fn at(timestamp: SystemTime, category: String, message: String) -> Self {
        let kind = "default".to_owned();
        Self { timestamp, category, message, kind, level: Severity::Info, data: BTreeMap::new() }
    }

    /// Adds a fact; a second one of the same key replaces the first.
    #[must_use]
    pub fn data(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.data.insert(key.into(), value.to_string());
        self
    }

    /// Says how bad it was.
    #[must_use]
    pub fn level(mut self, level: Severity) -> Self {
        self.level = level;
        self
    }

    /// Says what sort of thing it is: `http`, `query`, `navigation` …
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }
}

impl ErrorEvent {
    /// An event of which only this is known.
    pub(crate) fn new(event_id: EventId, occurred_at: SystemTime, origin: &EventOrigin) -> Self {
        let EventOrigin { environment, service, release } = origin.clone();
        Self {
            event_id,
            occurred_at,
            environment,
            service,
            release,
            route: String::new(),
            severity: Severity::Error,
            message: String::new(),
            handled: true,
            trace_id: None,
            span_id: String::new(),
            fingerprint: Vec::new(),
            exceptions: Vec::new(),
            request: None,
            user: None,
            breadcrumbs: Vec::new(),
            tags: BTreeMap::new(),
            contexts: BTreeMap::new(),
        }
    }

    /// About the bytes that it keeps allocated.
    pub(crate) fn weight_bytes(&self) -> usize {
        let exceptions = self.exceptions.iter().map(|exception| {
            let frames = exception.frames.iter().map(StackFrame::weight_bytes).sum::<usize>();
            size_of::<Exception>() + exception.type_name.len() + exception.value.len() + frames
        });
        let breadcrumbs = self.breadcrumbs.iter().map(|crumb| {
            let texts = crumb.category.len() + crumb.message.len() + crumb.kind.len();
            size_of::<Breadcrumb>() + texts + pairs_bytes(&crumb.data)
        });
        let request = self.request.iter().map(|request| {
            let headers = request.headers.iter().map(|(name, value)| PAIR_BYTES + name.len() + value.len());
            request.url.len() + request.route.len() + headers.sum::<usize>()
        });
        let fingerprint = self.fingerprint.iter().map(|part| size_of::<String>() + part.len());
        size_of::<Self>()
            + self.message.len()
            + exceptions.chain(breadcrumbs).chain(request).chain(fingerprint).sum::<usize>()
            + pairs_bytes(&self.tags)
            + pairs_bytes(&self.contexts)
    }
}

impl StackFrame {
    fn weight_bytes(&self) -> usize {
        let lines = self.pre_context.iter().chain(&self.post_context).map(|line| size_of::<String>() + line.len());
        let names = self.function.len() + self.module.len() + self.file.len() + self.abs_path.len();
        size_of::<Self>() + names + self.context_line.len() + lines.sum::<usize>()
    }
}

/// Two strings and a share of their map's nodes.
const PAIR_BYTES: usize = 2 * size_of::<String>() + 16;

fn pairs_bytes(pairs: &BTreeMap<String, String>) -> usize {
    pairs.iter().map(|(key, value)| PAIR_BYTES + key.len() + value.len()).sum()
}

/// What a process calls itself in its events.
#[derive(Debug, Clone)]
pub(crate) struct EventOrigin {
    /// The configured `environment`.
    pub(crate) environment: Arc<str>,
    /// The configured `service`.
    pub(crate) service: Arc<str>,
    /// The configured `release`.
    pub(crate) release: Arc<str>,
}
