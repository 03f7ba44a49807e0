//! How much memory the process uses, and when that stops new traces.
//!
//! What counts is *anonymous* resident memory: heap, stacks, private mappings that were written. Page cache, mapped
//! files and shared memory are left out, because the kernel can take the first two back at any time; a service that
//! reads large files must not look as if it leaked.
//!
//! Files read: `/proc/self/status` (else `/proc/self/smaps_rollup`), and those that [`limit`] names.

pub(crate) mod limit;

use std::path::Path;

use super::system::{SystemRoot, SystemUnknown, read_file};

/// The anonymous resident memory of this process, in bytes.
///
/// Costs one small read, 20 µs on a 6.18 kernel (`cost_of_the_readers` in the tests); the fallback for kernels before
/// 4.5 and for sandboxes that hide the field walks all page tables: 10 to 18 ms for each GiB that is resident. Call it
/// from an own thread, not on a host's.
///
/// # Errors
/// When neither file gives the number.
pub(crate) fn resident_anonymous(root: &SystemRoot) -> Result<u64, SystemUnknown> {
    kibibytes_of(&root.join("/proc/self/status"), "RssAnon")
        .or_else(|unknown| kibibytes_of(&root.join("/proc/self/smaps_rollup"), "Anonymous").map_err(|_| unknown))
}

/// Reads `field:   123 kB` as bytes.
fn kibibytes_of(path: &Path, field: &'static str) -> Result<u64, SystemUnknown> {
    const KIBIBYTE: u64 = 1_024;
    let text = read_file(path)?;
    let kibibytes = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|value| value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok());
    match kibibytes {
        Some(number) => Ok(number.saturating_mul(KIBIBYTE)),
        None => Err(SystemUnknown::NoField { path: path.to_owned(), field }),
    }
}

/// What a reading of the memory means for the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Open the breaker: the limit has been passed.
    Trip,
    /// Close it again: well below the limit.
    Rearm,
    /// Change nothing.
    Stay,
}

/// Remembers whether it has tripped, so that a process around its limit does not flip the breaker at each reading.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    tripped: bool,
}

impl MemoryWatch {
    /// `tripped` is whether memory holds the breaker open already: a watcher that is restarted goes on from there.
    pub(crate) fn new(tripped: bool) -> Self {
        Self { tripped }
    }

    /// Trips above `limit` bytes, re-arms below 80 % of it, stays in between. The limit may differ from call to call.
    pub(crate) fn decide(&mut self, resident: u64, limit: u64) -> Verdict {
        match self.tripped {
            false if resident > limit => {
                self.tripped = true;
                Verdict::Trip
            }
            true if resident < four_fifths(limit) => {
                self.tripped = false;
                Verdict::Rearm
            }
            _ => Verdict::Stay,
        }
    }
}

/// The default of `max_memory_bytes`: 80 % of what the process may use.
pub(crate) fn default_max_memory_bytes(limit: limit::MemoryLimit) -> u64 {
    four_fifths(limit.bytes)
}

fn four_fifths(bytes: u64) -> u64 {
    bytes - bytes / 5
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may panic and print")]
mod tests;
