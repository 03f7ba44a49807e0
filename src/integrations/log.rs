//! The `log` crate's records as error events and breadcrumbs.

use std::collections::BTreeMap;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::errors::logger::{self, LogRecord};
use crate::model::error_event::Severity;

/// Captures error records of the `log` crate when `logger_fallback` is on, and hands every record to another logger.
///
/// For hosts that log through `log`. Where `log`'s records go to `tracing` already (`tracing-log`, a subscriber that
/// was set up with `init`), install [`tracing_layer`](crate::FlameOn) instead: with both, each error would be told
/// twice.
///
/// ```
/// use flame_on::ErrorLogger;
///
/// # struct Mine;
/// # impl log::Log for Mine {
/// #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
/// #     fn log(&self, _: &log::Record<'_>) {}
/// #     fn flush(&self) {}
/// # }
/// # fn main() -> Result<(), log::SetLoggerError> {
/// ErrorLogger::around(Mine).breadcrumbs(log::LevelFilter::Info).install(log::LevelFilter::Info)
/// # }
/// ```
#[derive(Debug)]
pub struct ErrorLogger<L> {
    inner: L,
    breadcrumbs: LevelFilter,
}

impl<L: Log + 'static> ErrorLogger<L> {
    /// A logger around `inner`, which gets every record.
    pub fn around(inner: L) -> Self {
        Self { inner, breadcrumbs: LevelFilter::Off }
    }

    /// Keeps records up to this level, below error, as breadcrumbs of the task that logs them. Off unless said.
    #[must_use]
    pub fn breadcrumbs(mut self, level: LevelFilter) -> Self {
        self.breadcrumbs = level;
        self
    }

    /// Makes it the process's logger, for records up to `level`.
    ///
    /// # Errors
    /// When there is a logger already.
    pub fn install(self, level: LevelFilter) -> Result<(), log::SetLoggerError> {
        log::set_boxed_logger(Box::new(self))?;
        log::set_max_level(level);
        logger::note_bridge();
        Ok(())
    }

    fn is_kept(&self, level: Level) -> bool {
        level == Level::Error || level <= self.breadcrumbs
    }
}

impl<L: Log + 'static> Log for ErrorLogger<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata) || (self.is_kept(metadata.level()) && logger::is_wanted(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.is_kept(record.level()) && logger::is_wanted(record.target()) {
            tell(record);
        }
        if self.inner.enabled(record.metadata()) {
            self.inner.log(record);
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

fn tell(record: &Record<'_>) {
    let told = LogRecord {
        level: severity(record.level()),
        target: record.target(),
        message: record.args().to_string(),
        file: record.file(),
        line: record.line(),
        fields: BTreeMap::new(),
    };
    if record.level() == Level::Error { logger::capture(told) } else { logger::leave_breadcrumb(told) }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Error => Severity::Error,
        Level::Warn => Severity::Warning,
        Level::Info => Severity::Info,
        Level::Debug | Level::Trace => Severity::Debug,
    }
}
