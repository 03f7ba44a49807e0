//! The `tracing` crate's records as error events and breadcrumbs: what the layer does with an event.
//!
//! It takes no part of `tracing-subscriber`, so any subscriber can call it.

use std::collections::BTreeMap;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::errors::logger::{self, LogRecord};
use crate::model::error_event::Severity;

/// Bytes of one field's value: what is left of it is cut to `max_string_length` later.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Captures an error record, or keeps one of `breadcrumbs` or above as a breadcrumb; passes over all others before
/// anything is rendered.
pub(crate) fn on_event(event: &Event<'_>, breadcrumbs: Option<Level>) {
    let metadata = event.metadata();
    let level = *metadata.level();
    let is_kept = level == Level::ERROR || breadcrumbs.is_some_and(|lowest| level <= lowest);
    if !is_kept || !logger::is_wanted(metadata.target()) {
        return;
    }
    let mut fields = Fields::default();
    event.record(&mut fields);
    let record = LogRecord {
        level: severity(level),
        target: metadata.target(),
        message: fields.message.unwrap_or_else(|| metadata.name().to_owned()),
        file: metadata.file(),
        line: metadata.line(),
        fields: fields.others,
    };
    if level == Level::ERROR { logger::capture(record) } else { logger::leave_breadcrumb(record) }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        _ => Severity::Debug,
    }
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: BTreeMap<String, String>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: &dyn fmt::Display) {
        use fmt::Write as _;
        let mut text = crate::model::text::BoundedText::new(MAX_FIELD_BYTES);
        // `Err`: at the limit, or the host's own; what there is by then is kept.
        write!(text, "{value}").ok();
        match field.name() {
            "message" => self.message = Some(text.into_string()),
            name => drop(self.others.insert(name.to_owned(), text.into_string())),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, &value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tracing::{Metadata, Subscriber, span};

    use super::*;
    use crate::ErrorContextExt as _;
    use crate::testing::TestAgent;

    /// Hands every event on, as the layer does.
    struct HandsOn;

    impl Subscriber for HandsOn {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            on_event(event, Some(Level::INFO));
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    fn told(wants_logs: bool) -> Vec<crate::ErrorEvent> {
        let agent = TestAgent::with(|config| config.logger_fallback(wants_logs)).unwrap();
        let work = async {
            tracing::info!(target: "shop", sku = 7, "added token={}", "secret");
            tracing::debug!(target: "shop", "too fine");
            tracing::error!(target: "shop", order = 17, password = "secret", "not paid");
            tracing::error!(target: "flame_on::x", "the agent's own");
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tracing::subscriber::with_default(HandsOn, || {
            runtime.block_on(agent.in_context(|| work.with_new_error_context()));
        });
        agent.errors_blocking()
    }

    #[test]
    fn error_records_are_events_with_their_fields_and_lower_ones_breadcrumbs() {
        let events = told(true);
        let [event] = &events[..] else { unreachable!("{events:#?}") };
        assert_eq!((event.message.as_str(), event.route.as_str(), event.handled), ("not paid", "logger.error", false));
        assert_eq!((event.contexts["order"].as_str(), event.contexts["password"].as_str()), ("17", "[REDACTED]"));
        assert_eq!(event.contexts["target"], "shop");
        assert!(event.contexts["file"].ends_with("tracing_records.rs") && event.contexts.contains_key("line"));
        let crumbs: Vec<_> = event.breadcrumbs.iter().map(|c| (c.message.as_str(), c.data["sku"].as_str())).collect();
        assert_eq!(crumbs, [("added token=[REDACTED]", "7")]);
    }

    #[test]
    fn without_logger_fallback_no_record_is_an_event() {
        assert!(told(false).is_empty());
    }
}
