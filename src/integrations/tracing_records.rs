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
