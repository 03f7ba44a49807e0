//! The `log` crate's records as events and breadcrumbs. A binary of its own, because the logger is the process's.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use flame_on::testing::TestAgent;
use flame_on::{ErrorContextExt, ErrorLogger, Severity};
use log::LevelFilter;

/// What reached the host's own logger.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Host;

impl log::Log for Host {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        SEEN.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn error_records_are_events_and_lower_ones_breadcrumbs() {
    ErrorLogger::around(Host).breadcrumbs(LevelFilter::Info).install(LevelFilter::Trace).unwrap();
    let agent = TestAgent::with(|config| config.logger_fallback(true)).unwrap();
    let quiet = TestAgent::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let work = async {
        log::info!(target: "shop::cart", "added token={}", "secret");
        log::debug!(target: "shop::cart", "too fine");
        log::error!(target: "shop::cart", "no stock for {}", 7);
        log::error!(target: "flame_on::shipping", "the agent's own");
        log::error!(target: "h2::codec", "its transport's");
    };
    runtime.block_on(agent.in_context(|| work.with_new_error_context()));
    quiet.in_context(|| log::error!(target: "shop", "not wanted"));

    let events = agent.errors_blocking();
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = &events[0];
    assert_eq!((event.message.as_str(), event.route.as_str()), ("no stock for 7", "logger.error"));
    assert_eq!((event.severity, event.handled), (Severity::Error, false));
    assert_eq!(event.contexts["target"], "shop::cart");
    assert_eq!(event.contexts["file"], "tests/log_bridge.rs");
    assert!(event.contexts["line"].parse::<u32>().unwrap() > 0);
    let crumbs: Vec<_> = event.breadcrumbs.iter().map(|crumb| (crumb.message.as_str(), crumb.level)).collect();
    assert_eq!(crumbs, [("added token=[REDACTED]", Severity::Info)]);
    assert!(quiet.errors_blocking().is_empty(), "`logger_fallback` is off");

    let own = ["the agent's own", "its transport's", "no stock for 7", "not wanted"];
    let seen = SEEN.lock().unwrap();
    assert!(own.iter().all(|line| seen.iter().any(|seen| seen == line)), "the host's logger gets all: {seen:?}");
}
