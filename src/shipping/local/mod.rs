//! Ships to a directory: a file for each trace, and a line for it in an index; a file for each batch of error events.
//!
//! Uses blocking I/O, as adapters may. Several agents and processes can share a directory. Files are complete
//! when they appear under their name, but are not synced: what a power cut takes is not worth a stall.

mod directory;
mod errors;
mod index;
mod stamp;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use self::directory::{Directory, LocalError};
use super::adapter::{ShipContext, ShipperAdapter};
use super::ship_error::ShipError;
use super::trace::{Trace, TraceBatch};

/// What names a profile's file ends in.
const PROFILE_SUFFIX: &str = ".pb.gz";

/// What names of files of error events end in.
const ERRORS_SUFFIX: &str = ".errors.jsonl";

/// Where and how much the local adapter may write.
#[derive(Debug, Clone)]
pub(crate) struct LocalSettings {
    /// The directory; made, with its parents, when the first batch comes.
    pub(crate) dir: PathBuf,
    /// Bytes of profiles and index at most; the oldest profiles make room for new ones.
    pub(crate) max_bytes: u64,
}

/// Writes traces and error events into a directory. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LocalAdapter {
    directory: Arc<Directory>,
}

impl LocalAdapter {
    /// Makes the adapter; touches no file yet.
    pub(crate) fn new(settings: LocalSettings) -> Self {
        Self { directory: Arc::new(Directory::new(settings.dir, settings.max_bytes)) }
    }
}

impl ShipperAdapter<TraceBatch> for LocalAdapter {
    // A batch that fails halfway is written again: the same names, and so the same files.
    async fn ship(&self, batch: &TraceBatch, _context: &ShipContext) -> Result<(), ShipError> {
        let mut lines = String::new();
        for trace in batch.traces() {
            let file = file_name(trace);
            index::push_line(&mut lines, &file, trace);
            self.directory.write(&file, &trace.pprof_gz(), &lines)?;
        }
        Ok(self.directory.append_index(&lines)?)
    }
}

/// `<time>-<id>.pb.gz`, so that the order of names is the order of time.
fn file_name(trace: &Trace) -> String {
    format!("{}-{}{PROFILE_SUFFIX}", stamp::compact(trace.captured_at()), trace.id())
}

impl From<LocalError> for ShipError {
    fn from(error: LocalError) -> Self {
        if error.can_pass() { Self::retryable(error) } else { Self::permanent(error) }
    }
}
