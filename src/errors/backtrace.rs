//! Backtraces: unwound in the host's thread, resolved in the agent's.
//!
//! The standard library unwinds into addresses and leaves their names to whoever shows the backtrace, so that the first
//! part is all that a host's thread pays. Both parts take one lock of the standard library's. Resolving holds it for
//! milliseconds, and much longer when debug information is read for the first time; so while the agent resolves, no
//! host thread unwinds: its event keeps the place of the capture as its only frame.

use std::backtrace::Backtrace;
#[cfg(feature = "anyhow")]
use std::backtrace::BacktraceStatus;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::parse;
use crate::model::counters::{Count, Counters};
use crate::model::error_event::StackFrame;
use crate::model::in_app::short_file;

/// Backtraces that are being resolved now, by the agents of this process.
static RESOLVING: AtomicUsize = AtomicUsize::new(0);

/// A backtrace of here, without names; `None`, and counted, while an agent resolves another one.
pub(super) fn unresolved(counters: &Counters) -> Option<Backtrace> {
    // Relaxed: a capture that comes just in between waits, as any panic of the host's does.
    if RESOLVING.load(Ordering::Relaxed) > 0 {
        counters.count(Count::BacktracesSkipped);
        return None;
    }
    Some(Backtrace::force_capture())
}

/// Frames of `backtrace`, innermost first and without those of the capture itself. Slow: not for host threads.
pub(super) fn resolve(backtrace: &Backtrace) -> Vec<StackFrame> {
    let _resolving = Resolving::begin();
    parse::frames(&backtrace.to_string())
}

/// Keeps host threads from unwinding while it lives.
pub(crate) struct Resolving(());

impl Resolving {
    pub(crate) fn begin() -> Self {
        RESOLVING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        RESOLVING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The frames of a backtrace that an error was made with; `None` when it has none. It cannot leave its error, so this
/// is the one place where a host's thread resolves: only for an error that will be sent, and only where the host has
/// asked for such backtraces (`RUST_LIB_BACKTRACE=1` or `RUST_BACKTRACE=1`).
#[cfg(feature = "anyhow")]
pub(super) fn own_frames(backtrace: &Backtrace) -> Option<Vec<StackFrame>> {
    let is_there = backtrace.status() == BacktraceStatus::Captured;
    is_there.then(|| resolve(backtrace)).filter(|frames| !frames.is_empty())
}

/// The place of a capture as a frame.
pub(super) fn frame_at(location: &Location<'_>) -> StackFrame {
    StackFrame {
        file: short_file(location.file()).to_owned(),
        abs_path: location.file().to_owned(),
        line: location.line(),
        column: location.column(),
        ..StackFrame::default()
    }
}
