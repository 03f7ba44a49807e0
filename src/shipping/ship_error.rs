//! Why a batch was not shipped.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Bytes of text that an error keeps once it has left its adapter: enough for a log line.
const MAX_TEXT: usize = 1_000;
/// Sources that are followed: a chain longer than this is a loop.
const MAX_SOURCES: usize = 16;

/// Why a batch was not shipped, and whether trying again can help.
///
/// Any error or text can be its cause; its message is the cause's.
#[derive(Debug)]
pub struct ShipError {
    cause: Box<dyn Error + Send + Sync>,
    kind: Kind,
    /// What became of the first items of the batch, where it left in parts; the error is about those after them.
    settled: Vec<Part>,
}

/// Items that follow each other in a batch, and what the destination said of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) items: usize,
    pub(crate) is_accepted: bool,
}

#[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only a server says so"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Trying again can help, not before `after` if the server named a delay.
    Retryable { after: Option<Duration> },
    /// Trying again cannot help.
    Permanent,
    /// The server read the batch and did not want it.
    Rejected,
    /// The server does not accept the key; the next batch will fare no better.
    Denied,
}

impl ShipError {
    fn of_kind(cause: impl Into<Box<dyn Error + Send + Sync>>, kind: Kind) -> Self {
        Self { cause: cause.into(), kind, settled: Vec::new() }
    }

    /// Says what became of the items before those that the error is about.
    #[cfg_attr(not(all(test, feature = "grpc")), allow(dead_code, reason = "only messages have a limit"))]
    pub(crate) fn after(self, settled: Vec<Part>) -> Self {
        Self { settled, ..self }
    }

    /// See [`ShipError::after`].
    pub(crate) fn settled(&self) -> &[Part] {
        &self.settled
    }

    /// Trying again can help: the batch is kept and sent again later, within the agent's bounds.
    pub fn retryable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of_kind(cause, Kind::Retryable { after: None })
    }

    /// Trying again cannot help: the batch is dropped and counted as rejected.
    pub fn permanent(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of_kind(cause, Kind::Permanent)
    }

    /// Makes the error retryable, but not before `delay` has passed.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self { kind: Kind::Retryable { after: Some(delay) }, ..self }
    }

    /// The server read the batch and refused it with `message`, of which the beginning is kept.
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only a server says so"))]
    pub(crate) fn rejected(message: &str) -> Self {
        Self::of_kind(format!("the server rejected the batch: {}", shortened(message)), Kind::Rejected)
    }

    /// The server does not accept the key.
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only a server says so"))]
    pub(crate) fn denied(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of_kind(cause, Kind::Denied)
    }

    /// Whether trying again can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, Kind::Retryable { .. })
    }

    /// How long to wait before trying again, where the server said so.
    pub fn delay(&self) -> Option<Duration> {
        match self.kind {
            Kind::Retryable { after } => after,
            Kind::Permanent | Kind::Rejected | Kind::Denied => None,
        }
    }

    /// Whether the server read the batch and refused it.
    pub(crate) fn is_rejected(&self) -> bool {
        self.kind == Kind::Rejected
    }

    /// Whether the server does not accept the key. Not retryable as it is, but what was sent was not at fault.
    pub(crate) fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    /// Replaces the cause by its text, sources included.
    ///
    /// The cause may be a type of the user's: its formatting and its destructor must run where a panic is
    /// caught, not where the agent happens to log or drop the error.
    pub(crate) fn detach(self) -> Self {
        Self { cause: text_of(&*self.cause).into(), ..self }
    }
}

impl fmt::Display for ShipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for ShipError {
    // The cause's own text is ours already, so a chain goes on behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// The message of `error` and of its sources, joined by colons, at most [`MAX_TEXT`] bytes.
pub(crate) fn text_of<'e>(error: &'e (dyn Error + 'static)) -> String {
    let mut text = Bounded(String::new());
    let mut last = String::new();
    for source in std::iter::successors(Some(error), |error| (*error).source()).take(MAX_SOURCES) {
        let mut part = Bounded(String::new());
        // An error means that the bound was reached (or that the type's own formatting failed): keep what is there.
        write!(part, "{source}").ok();
        // Many errors repeat their source in their own text.
        if !last.is_empty() && last.contains(&part.0) {
            continue;
        }
        if !text.0.is_empty() {
            text.write_str(": ").ok();
        }
        text.write_str(&part.0).ok();
        last = part.0;
    }
    text.0
}

/// The beginning of `text`, at most [`MAX_TEXT`] bytes.
#[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only a server says so"))]
pub(crate) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary_at(MAX_TEXT)).unwrap_or(text)
}

/// Text that takes no more than [`MAX_TEXT`] bytes, so that a huge message is never built.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_TEXT.saturating_sub(self.0.len());
        let fits = more.floor_char_boundary_at(room);
        self.0.push_str(more.get(..fits).unwrap_or_default());
        if fits < more.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

trait CharBoundary {
    /// The last boundary between characters that is not after `index`.
    // `str::floor_char_boundary` is newer than our oldest compiler.
    fn floor_char_boundary_at(&self, index: usize) -> usize;
}

impl CharBoundary for str {
    fn floor_char_boundary_at(&self, index: usize) -> usize {
        (0..=index.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_delay_makes_an_error_retryable() {
        assert!(ShipError::retryable("x").is_retryable());
        let error = ShipError::permanent("503");
        assert!(!error.is_retryable());
        assert_eq!(error.delay(), None);
        let error = error.retry_after(Duration::from_secs(30));
        assert!(error.is_retryable());
        assert_eq!(error.delay(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_denied_key_is_not_taken_for_a_bad_batch() {
        let denied = ShipError::denied("no such key");
        assert!(denied.is_denied() && !denied.is_rejected() && !denied.is_retryable());
        let rejected = ShipError::rejected("too old");
        assert!(rejected.is_rejected() && !rejected.is_denied() && !rejected.is_retryable());
    }

    #[test]
    fn a_detached_error_keeps_its_kind_and_tells_its_sources() {
        let error = ShipError::retryable(Outer(std::io::Error::other("inner"))).retry_after(Duration::from_secs(1));
        assert_eq!(error.source().map(ToString::to_string), Some("inner".into()));
        let error = error.detach();
        assert_eq!(error.to_string(), "outer: inner");
        assert!(error.source().is_none());
        assert_eq!(error.delay(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_huge_message_is_cut_between_characters() {
        let error = ShipError::permanent("é".repeat(MAX_TEXT)).detach();
        assert_eq!(error.to_string().len(), MAX_TEXT);
        let odd = ShipError::permanent(format!("x{}", "é".repeat(MAX_TEXT))).detach();
        assert_eq!(odd.to_string().len(), MAX_TEXT - 1);
        assert!(ShipError::rejected(&"y".repeat(1 << 20)).to_string().len() < MAX_TEXT + 100);
    }
}
