//! Batches on disk: what cannot be sent now is sent from here later, by this process or by the next one.
//!
//! ```text
//! <kind>-<time>-<random>-<items>.spool ──claimed──► ….spool.sending ──taken or refused──► deleted
//!                                      ◄──failed, or the claim is older than its lease──┘
//! ```
//! A file is complete when it appears under its name, and its checksum is gzip's. Several processes may share a
//! directory: a claim is a rename, which only one of them wins. Blocking I/O: not for an actor's thread.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::model::queue_stats::SpoolStats;

mod content;
mod name;
#[cfg(test)]
mod tests;

use self::name::Name;

/// Unpacked bytes of one file at most, unless a single item is larger: what is in memory at once.
const MAX_FILE: usize = 8 << 20;
/// An unfinished file is another process's, unless it is older than this.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);

/// The part of a directory that belongs to one kind of item.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    max_bytes: u64,
    /// What the names of its files begin with.
    kind: &'static str,
    /// How long a claim holds: longer than any call takes.
    lease: Duration,
    /// Whether a look may find something.
    is_worth_a_look: AtomicBool,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicU64,
    bytes: AtomicU64,
    sent: AtomicU64,
    rejected: AtomicU64,
    evicted: AtomicU64,
    skipped: AtomicU64,
    write_failures: AtomicU64,
    /// Foreign files seen at the last look.
    foreign: AtomicU64,
}

/// A file that this process sends.
#[derive(Debug)]
pub(crate) struct Claimed {
    path: PathBuf,
    released: PathBuf,
    /// The items, as they were written.
    pub(crate) items: Vec<Vec<u8>>,
}

/// A file of ours.
struct Entry {
    name: Name,
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Spool {
    /// The `kind` files of `dir`, which is made when it is first written to.
    pub(crate) fn new(dir: PathBuf, max_bytes: u64, kind: &'static str, lease: Duration) -> Self {
        let counts = Counts::default();
        Self { dir, max_bytes, kind, lease, is_worth_a_look: AtomicBool::new(true), counts }
    }

    /// Whether a look may find something to be sent.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        self.is_worth_a_look.load(Ordering::Relaxed)
    }

    /// Another process may have left something.
    pub(crate) fn look_again(&self) {
        self.is_worth_a_look.store(true, Ordering::Relaxed);
    }

    /// Writes the items, evicting the oldest files where there is no room. Gives how many of them, from the first,
    /// were written; the others are counted here and are the caller's to settle.
    ///
    /// # Errors
    /// When not even the first file could be written.
    pub(crate) fn write(&self, items: &[Vec<u8>]) -> io::Result<usize> {
        let mut written = 0;
        for part in content::parts(items, MAX_FILE) {
            match self.write_file(part) {
                Ok(()) => written += part.len(),
                Err(error) if written == 0 => return Err(error),
                Err(_) => {
                    let left = items.len() - written;
                    self.counts.write_failures.fetch_add(left as u64, Ordering::Relaxed);
                    break;
                }
            }
        }
        self.look_again();
        Ok(written)
    }

    /// Takes the oldest file that can be read and that nobody else sends.
    pub(crate) fn claim(&self) -> Option<Claimed> {
        // `Err`: it is not there before the first write, or cannot be read.
        let mut ours = self.look().unwrap_or_default();
        ours.retain(|entry| entry.name.kind == self.kind);
        for entry in ours {
            if let Some(claimed) = self.try_claim(&entry) {
                return Some(claimed);
            }
        }
        self.is_worth_a_look.store(false, Ordering::Relaxed);
        None
    }

    /// The destination has answered for the whole file.
    pub(crate) fn finish(&self, claimed: &Claimed, sent: usize, rejected: usize) {
        self.counts.sent.fetch_add(sent as u64, Ordering::Relaxed);
        self.counts.rejected.fetch_add(rejected as u64, Ordering::Relaxed);
        self.subtract(claimed.items.len() as u64);
        // `Err`: it is sent again when the lease is over, as a duplicate.
        fs::remove_file(&claimed.path).ok();
    }

    /// Items of a file that this version cannot read.
    pub(crate) fn refuse(&self, items: usize) {
        self.counts.rejected.fetch_add(items as u64, Ordering::Relaxed);
        self.subtract(items as u64);
    }

    /// The file could not be sent: anybody may try again.
    pub(crate) fn release(&self, claimed: &Claimed) {
        // `Err`: the lease ends by itself.
        fs::rename(&claimed.path, &claimed.released).ok();
        self.look_again();
    }

    /// A file of which only the first items were answered for: what is left becomes a file of its own.
    pub(crate) fn keep_rest(&self, claimed: &Claimed, sent: usize, rejected: usize) {
        let rest = claimed.items.get(sent + rejected..).unwrap_or_default();
        match self.write(rest) {
            Ok(_) => self.finish(claimed, sent, rejected),
            // Then all of it is sent again: duplicates rather than losses.
            Err(_) => self.release(claimed),
        }
    }

    /// The account.
    pub(crate) fn stats(&self) -> SpoolStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        SpoolStats {
            waiting: read(&counts.waiting),
            bytes: read(&counts.bytes),
            sent: read(&counts.sent),
            rejected: read(&counts.rejected),
            evicted: read(&counts.evicted),
            skipped_files: read(&counts.skipped) + read(&counts.foreign),
            write_failures: read(&counts.write_failures),
        }
    }

    fn write_file(&self, items: &[Vec<u8>]) -> io::Result<()> {
        let packed = content::pack(items);
        let bytes = packed.len() as u64;
        make_private_dir(&self.dir)?;
        self.make_room(bytes)?;
        let temp = self.dir.join(name::temp());
        let written = create_private(&temp).and_then(|mut file| {
            file.write_all(&packed)?;
            // A power cut may take the name, but never leave a name with half of the content.
            file.sync_data()
        });
        let path = self.dir.join(Name::new(self.kind, items.len()).to_string());
        if let Err(error) = written.and_then(|()| fs::rename(&temp, path)) {
            // The first error is the one to tell; what is left is removed as abandoned later.
            fs::remove_file(&temp).ok();
            return Err(error);
        }
        self.counts.waiting.fetch_add(items.len() as u64, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Deletes the oldest files, of whatever kind, until `bytes` more fit.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.max_bytes {
            return Err(io::Error::other("a batch is larger than spool_max_bytes"));
        }
        let entries = self.look()?;
        let mut used: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if used.saturating_add(bytes) <= self.max_bytes {
                break;
            }
            // `Err`: another process was faster, and counts it.
            if fs::remove_file(&entry.path).is_ok() {
                self.counts.evicted.fetch_add(entry.name.items, Ordering::Relaxed);
                if entry.name.kind == self.kind {
                    self.subtract(entry.name.items);
                }
            }
            used = used.saturating_sub(entry.bytes);
        }
        Ok(())
    }

    /// All files of ours, the oldest first; what a crash has left behind is deleted.
    fn look(&self) -> io::Result<Vec<Entry>> {
        let (mut entries, mut foreign) = (Vec::new(), 0);
        for entry in fs::read_dir(&self.dir)? {
            // `Err`, here and below: it is gone by now.
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let file_name = entry.file_name();
            let name = file_name.to_str().unwrap_or_default();
            match Name::read(name).filter(|_| metadata.is_file()) {
                Some(name) => entries.push(Entry { name, path: entry.path(), bytes: metadata.len(), modified }),
                None if name::is_temp(name) => {
                    if is_older(modified, ABANDONED_AFTER) {
                        fs::remove_file(entry.path()).ok();
                    }
                }
                None => foreign += 1,
            }
        }
        entries.sort_by_key(|entry| entry.name.order());
        let ours = entries.iter().filter(|entry| entry.name.kind == self.kind);
        self.counts.waiting.store(ours.map(|entry| entry.name.items).sum(), Ordering::Relaxed);
        self.counts.bytes.store(entries.iter().map(|entry| entry.bytes).sum(), Ordering::Relaxed);
        self.counts.foreign.store(foreign, Ordering::Relaxed);
        Ok(entries)
    }

    fn try_claim(&self, entry: &Entry) -> Option<Claimed> {
        if entry.name.is_claimed && !is_older(entry.modified, self.lease) {
            // Sent by another process now, or by one that has died: then the lease ends.
            return None;
        }
        let released = self.dir.join(entry.name.claimed(false).to_string());
        let path = self.dir.join(entry.name.claimed(true).to_string());
        // The lease begins before the claim, so that nobody sees the claim without it.
        File::options().write(true).open(&entry.path).and_then(|file| file.set_modified(SystemTime::now())).ok()?;
        if !entry.name.is_claimed {
            fs::rename(&entry.path, &path).ok()?;
        }
        match fs::read(&path).ok().and_then(|packed| content::unpack(&packed)) {
            Some(items) => Some(Claimed { path, released, items }),
            None => {
                self.counts.skipped.fetch_add(1, Ordering::Relaxed);
                self.subtract(entry.name.items);
                // `Err`: it is skipped again next time.
                fs::remove_file(&path).ok();
                None
            }
        }
    }

    fn subtract(&self, items: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(items));
        // `Err` cannot be: the closure always gives a value.
        self.counts.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
    }
}

fn is_older(modified: SystemTime, than: Duration) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age > than)
}

/// Makes the directory for its owner alone: traces tell much about a service.
fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options.write(true).create_new(true).open(path)
}
