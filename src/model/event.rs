//! Start events: what a caller says about a unit of work, and what a handler makes of it.

mod value;

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::text::cut;

pub use self::value::Value;

/// Bytes of a trace's name or identifier: 10,000 identifiers in the dedupe table (`max_dedupe_identifiers`) x 1 KiB
/// are 10 MiB at worst.
const MAX_NAME_BYTES: usize = 1024;

/// What a start event carries besides its name: pairs of keys and values, and at most one borrowed value of the
/// caller's own type.
///
/// Made by the closure given to `event`, which runs only for a unit of work that the dice chose; values borrow from
/// the caller and live until the handlers have decided. [`metadata!`](crate::metadata) makes one of pairs. Nothing
/// in it leaves the process unless a handler puts it into a [`Capture`].
#[derive(Default)]
pub struct Metadata<'a> {
    pairs: Vec<(&'static str, Value<'a>)>,
    typed: Option<&'a dyn Any>,
}

impl<'a> Metadata<'a> {
    /// Metadata of pairs.
    pub fn new(pairs: impl IntoIterator<Item = (&'static str, Value<'a>)>) -> Self {
        Self { pairs: pairs.into_iter().collect(), typed: None }
    }

    /// Metadata of one value, which a handler reads back with [`StartEvent::typed`]. It is only lent: it needs to be
    /// neither `Send` nor `Clone`.
    pub fn typed<T: Any>(value: &'a T) -> Self {
        Self { pairs: Vec::new(), typed: Some(value) }
    }

    /// Adds a pair. Of two pairs with the same key the later one counts.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value<'a>>) -> Self {
        self.pairs.push((key, value.into()));
        self
    }
}

impl fmt::Debug for Metadata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata").field("pairs", &self.pairs).field("has_typed", &self.typed.is_some()).finish()
    }
}

/// What an [`EventHandler`] decides on. Exists only during the admission, in the caller's thread.
#[derive(Debug)]
pub struct StartEvent<'a> {
    name: &'a str,
    metadata: Metadata<'a>,
}

impl<'a> StartEvent<'a> {
    /// A start event; for tests of a handler.
    pub fn new(name: &'a str, metadata: Metadata<'a>) -> Self {
        Self { name, metadata }
    }

    /// The event's name as the caller wrote it, `shop.import.start` or `shop.import`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The value of a key; `None` if the metadata has no such key.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.metadata.pairs.iter().rev().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// The value of a key; `None` if it is not a string or there is no such key.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The value lent with [`Metadata::typed`]; `None` if there is none or it is of another type.
    pub fn typed<T: Any>(&self) -> Option<&T> {
        self.metadata.typed?.downcast_ref()
    }
}

/// The name of an event as configuration and handler tables have it: without a trailing `.start`.
pub(crate) fn base_name(name: &str) -> &str {
    name.strip_suffix(".start").unwrap_or(name)
}

/// What a unit of work is traced as.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    event_name: Cow<'static, str>,
    identifier: String,
    threshold: Option<Duration>,
    is_deduplicated: bool,
}

impl Capture {
    /// Names the kind of work (`axum.request`) and which of its kind it is (`GET /users/{id}`). Both are shipped and
    /// make the root of the flame graph.
    ///
    /// At most one trace for each identifier is shipped in `dedupe_window_seconds`, so an identifier should name an
    /// endpoint and not a request. Of either no more than 1,024 bytes are kept; a longer one ends in `…`.
    pub fn new(event_name: impl Into<Cow<'static, str>>, identifier: impl Into<String>) -> Self {
        Self {
            event_name: cut_name(event_name.into()),
            identifier: cut_identifier(identifier.into()),
            threshold: None,
            is_deduplicated: true,
        }
    }

    /// Ships the trace only if it lasts at least this long. A threshold that the configuration sets for the event
    /// wins over this one. Default: the event's in [`DefaultHandler`](crate::DefaultHandler)'s table, else 100 ms.
    #[must_use]
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// Takes the trace out of deduplication: its identifier stands for many endpoints, so that one of them would
    /// hide all others.
    #[must_use]
    pub(crate) fn without_dedupe(mut self) -> Self {
        self.is_deduplicated = false;
        self
    }

    /// Replaces the identifier by one that names the endpoint, and with it makes deduplication apply again.
    pub(crate) fn set_identifier(&mut self, identifier: impl Into<String>) {
        self.identifier = cut_identifier(identifier.into());
        self.is_deduplicated = true;
    }

    pub(crate) fn event_name(&self) -> &str {
        &self.event_name
    }

    pub(crate) fn identifier(&self) -> &str {
        &self.identifier
    }

    pub(crate) fn threshold_or_none(&self) -> Option<Duration> {
        self.threshold
    }

    pub(crate) fn is_deduplicated(&self) -> bool {
        self.is_deduplicated
    }
}

/// An identifier within its bound.
pub(crate) fn cut_identifier(identifier: String) -> String {
    cut(identifier, MAX_NAME_BYTES)
}

fn cut_name(name: Cow<'static, str>) -> Cow<'static, str> {
    if name.len() > MAX_NAME_BYTES { cut(name.into_owned(), MAX_NAME_BYTES).into() } else { name }
}

/// A handler's answer to a start event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// Trace it as this.
    Capture(Capture),
    /// Do not trace it; no later handler is asked.
    Skip,
    /// Not mine: ask the next handler, the default one last.
    Next,
}

impl From<Capture> for Decision {
    fn from(capture: Capture) -> Self {
        Self::Capture(capture)
    }
}

/// Decides what a start event is traced as.
///
/// Runs in the thread that starts the unit of work, for those that the dice chose: keep it cheap. A panic in it is
/// caught, counted and taken as [`Decision::Skip`]. A closure is a handler too.
///
/// ```
/// use flame_on::{Capture, Decision, StartEvent, metadata};
///
/// let handler = |event: &StartEvent<'_>| match event.name() {
///     "shop.import.start" => match event.str("source") {
///         Some(source) => Capture::new("shop.import", source).into(),
///         None => Decision::Skip,
///     },
///     _ => Decision::Next,
/// };
/// let event = StartEvent::new("shop.import.start", metadata! { "source" => "ftp", "rows" => 17 });
/// assert_eq!(handler(&event), Decision::Capture(Capture::new("shop.import", "ftp")));
/// ```
pub trait EventHandler: Send + Sync + 'static {
    /// Decides on `event`.
    fn handle(&self, event: &StartEvent<'_>) -> Decision;
}

impl<F> EventHandler for F
where
    F: Fn(&StartEvent<'_>) -> Decision + Send + Sync + 'static,
{
    fn handle(&self, event: &StartEvent<'_>) -> Decision {
        self(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata;

    #[test]
    fn a_handler_reads_pairs_by_key_and_the_later_of_two() {
        let rows = String::from("many");
        let event = StartEvent::new("a.start", metadata! { "n" => 3, "rows" => &rows }.with("n", 4).with("x", 1.5));
        assert_eq!(event.name(), "a.start");
        assert_eq!(event.get("n"), Some(&Value::Int(4)));
        assert_eq!(event.str("rows"), Some("many"));
        assert_eq!((event.str("n"), event.get("none")), (None, None));
    }

    #[test]
    fn a_lent_value_is_read_back_by_its_type() {
        struct Import<'a>(std::cell::Cell<u8>, std::marker::PhantomData<&'a ()>);
        let import = Import(7.into(), std::marker::PhantomData);
        let event = StartEvent::new("import", Metadata::typed(&import).with("k", "v"));
        assert_eq!(event.typed::<Import<'static>>().map(|import| import.0.get()), Some(7));
        assert!(event.typed::<u8>().is_none());
        assert_eq!(event.str("k"), Some("v"));
    }

    #[test]
    fn only_a_trailing_start_is_ignored() {
        assert_eq!(base_name("axum.request.start"), "axum.request");
        assert_eq!(base_name("axum.request"), "axum.request");
        assert_eq!(base_name("start"), "start");
        assert_eq!(base_name("a.start.stop"), "a.start.stop");
        assert_eq!(base_name("a.restart"), "a.restart");
        assert_eq!(base_name(""), "");
    }

    #[test]
    fn a_capture_keeps_what_it_was_given() {
        let mut capture = Capture::new("axum.request", "GET").threshold(Duration::from_millis(7)).without_dedupe();
        assert_eq!((capture.event_name(), capture.identifier()), ("axum.request", "GET"));
        assert_eq!(capture.threshold_or_none(), Some(Duration::from_millis(7)));
        assert!(!capture.is_deduplicated());
        capture.set_identifier("GET /users/{id}");
        assert_eq!(capture.identifier(), "GET /users/{id}");
        assert!(capture.is_deduplicated());
        assert_eq!(Capture::new("a", "b").threshold_or_none(), None);
    }

    #[test]
    fn names_are_bounded_in_bytes() {
        let mut capture = Capture::new("n".repeat(5_000), "ä".repeat(5_000));
        assert_eq!(capture.event_name().len(), MAX_NAME_BYTES);
        assert!(capture.identifier().len() <= MAX_NAME_BYTES && capture.identifier().ends_with("ä…"));
        capture.set_identifier("x".repeat(5_000));
        assert_eq!(capture.identifier().len(), MAX_NAME_BYTES);
    }

    #[test]
    fn debug_output_tells_that_a_value_is_lent() {
        let shown = format!("{:?}", StartEvent::new("a", Metadata::typed(&1_u8).with("k", true)));
        assert!(shown.contains("has_typed: true") && shown.contains("Bool(true)"), "{shown}");
    }
}
