//! What one queue of things to be shipped tells about itself.

use std::time::SystemTime;

/// How the shipping of one kind of item (traces, or error events) goes.
///
/// Each item that was produced is in exactly one of `waiting`, `sent`, `rejected`, `failed`, `evicted`,
/// `lost_at_shutdown`, `dropped_by_host` and `spooled`. What lies on disk has an account of its own, [`SpoolStats`], because other
/// processes add to it and take from it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct QueueStats {
    /// Items that were finished and handed over to be shipped.
    pub produced: u64,
    /// Items that wait in memory, or are with the shipper, now.
    pub waiting: u64,
    /// Bytes that wait in memory now, bounded by `max_outbox_bytes`.
    pub bytes: u64,
    /// Items that the destination has accepted, without those that came from disk.
    pub sent: u64,
    /// Encoded bytes that the destination has accepted.
    pub sent_bytes: u64,
    /// Batches that the destination has accepted.
    pub batches: u64,
    /// Tries of batches that had failed before.
    pub retried: u64,
    /// Dropped: the destination refused them, or the shipper's error was permanent.
    pub rejected: u64,
    /// Dropped: tried in vain for as long as a batch is tried, or lost by a shipper that panicked or blocked.
    pub failed: u64,
    /// Dropped: there was no room, and these were the oldest.
    pub evicted: u64,
    /// Dropped: not sent when the shutdown's limit was over, and not spooled either.
    pub lost_at_shutdown: u64,
    /// Dropped: the host's `before_send` said so, or panicked.
    pub dropped_by_host: u64,
    /// Items that went to disk, to be sent from there later.
    pub spooled: u64,
    /// Items that were larger than a message may be and were shipped with less detail.
    pub thinned: u64,
    /// Calls of the shipper that panicked.
    pub adapter_panics: u64,
    /// Calls of the shipper that went on past their deadline and were abandoned.
    pub adapter_abandoned: u64,
    /// What became of the items on disk.
    pub spool: SpoolStats,
    /// Why the last batch failed that did; `None` before the first failure. Without secrets.
    pub last_error: Option<String>,
    /// Since when every batch has been answered; `None` while the destination cannot be reached, and before the
    /// first batch.
    pub reachable_since: Option<SystemTime>,
    /// Whether so many batches failed in a row that only one a minute is tried now.
    pub circuit_open: bool,
}

/// What became of the items that this process has found in, or put into, `spool_dir`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Items on disk at the last look, whichever process put them there.
    pub waiting: u64,
    /// Bytes on disk at the last look, bounded by `spool_max_bytes`.
    pub bytes: u64,
    /// Items from disk that the destination has accepted.
    pub sent: u64,
    /// Items from disk that the destination has refused.
    pub rejected: u64,
    /// Items that were deleted because the directory was full and they were the oldest.
    pub evicted: u64,
    /// Files that could not be read: torn, or not ours. A torn file is deleted, a foreign one is left alone.
    pub skipped_files: u64,
    /// Items that could not be written to disk and were lost.
    pub write_failures: u64,
}

impl QueueStats {
    /// The items that are over, each by the one name that says what became of it: `produced` less `waiting`, once
    /// nothing is on its way between the two.
    pub fn settled(&self) -> u64 {
        self.sent + self.spooled + self.dropped_by_host + self.lost()
    }

    /// The items that were lost.
    pub fn lost(&self) -> u64 {
        self.rejected + self.failed + self.evicted + self.lost_at_shutdown
    }
}
