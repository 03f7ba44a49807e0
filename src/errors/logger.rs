//! Log records as events and breadcrumbs: what the bridges for `tracing` and `log` have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::context;
use super::core::is_any_capturing;
use super::report::Report;
use crate::FlameOn;
use crate::capture::current::is_in_agent;
use crate::model::error_event::{Breadcrumb, Severity};

/// The route of captured records.
const ROUTE: &str = "logger.error";

/// Targets whose records are never captured: the agent's own, and those of its transport.
const OWN_TARGETS: [&str; 7] = ["flame_on", "tonic", "h2", "hyper", "hyper_util", "tower", "rustls"];

/// Whether a bridge from a logger has been installed in this process.
static HAS_BRIDGE: AtomicBool = AtomicBool::new(false);

/// A bridge from a logger has been installed.
pub(crate) fn note_bridge() {
    HAS_BRIDGE.store(true, Ordering::Relaxed);
}

/// Says once at the start that records of errors cannot come, when they are wanted and nothing brings them.
pub(crate) fn warn_without_bridge() {
    if !HAS_BRIDGE.load(Ordering::Relaxed) {
        tracing::warn!(
            target: "flame_on",
            "`logger_fallback` is on, but neither `flame_on::tracing_layer()` nor `ErrorLogger` is installed: error \
             records are not captured until one of them is"
        );
    }
}

/// A record, as far as it is told. The fields' values are not redacted yet.
pub(crate) struct LogRecord<'r> {
    pub(crate) level: Severity,
    pub(crate) target: &'r str,
    pub(crate) message: String,
    pub(crate) file: Option<&'r str>,
    pub(crate) line: Option<u32>,
    pub(crate) fields: BTreeMap<String, String>,
}

/// Whether a record of this target is to be looked at on this thread. Cheap, so that it can be asked before anything is
/// rendered.
pub(crate) fn is_wanted(target: &str) -> bool {
    is_any_capturing() && !is_in_agent() && !is_own(target)
}

/// The transport's own crates are used by hosts too; on the agent's threads alone they would be told apart by
/// [`is_in_agent`], but their tasks may log from a host's poll.
fn is_own(target: &str) -> bool {
    OWN_TARGETS.iter().any(|own| target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

/// Captures a record of level error, if the current agent captures logs (`logger_fallback`).
pub(crate) fn capture(record: LogRecord<'_>) {
    let agent = FlameOn::current();
    if !agent.errors().is_some_and(|core| core.captures_logs) {
        return;
    }
    let mut report = Report::of(super::report::Cause::Message(record.message), None)
        .severity(Severity::Error)
        .handled(false)
        .route(ROUTE);
    report.contexts = record.fields;
    report.contexts.insert("target".to_owned(), record.target.to_owned());
    if let Some(file) = record.file {
        report.contexts.insert("file".to_owned(), file.to_owned());
    }
    if let Some(line) = record.line {
        report.contexts.insert("line".to_owned(), line.to_string());
    }
    agent.capture(report);
}

/// Keeps a record of a lower level as a breadcrumb of the task that runs here. Outside of any task it is not counted as
/// ignored: most records of a service are.
pub(crate) fn leave_breadcrumb(record: LogRecord<'_>) {
    let mut breadcrumb = Breadcrumb::new(record.target, record.message).level(record.level).kind("log");
    breadcrumb.data = record.fields;
    context::configure_quietly(|context| context.add_breadcrumb(breadcrumb));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_the_agent_and_its_transport_are_its_own() {
        for target in ["flame_on", "flame_on::shipping", "h2::codec", "tonic", "hyper_util::client"] {
            assert!(is_own(target), "{target}");
        }
        for target in ["shop", "flame_onion", "h2o", "towers::x", ""] {
            assert!(!is_own(target), "{target}");
        }
    }
}
