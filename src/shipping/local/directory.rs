//! A directory of ours within a byte budget.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{ERRORS_SUFFIX, PROFILE_SUFFIX, index, stamp};
use crate::safety::random;

/// Unfinished files that a crash has left behind are removed after this long.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);
/// An index up to this size is left alone, unless the whole budget is small.
const SMALL_INDEX: u64 = 64 << 10;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// It alone exceeds the budget.
    #[error("a profile of {bytes} bytes exceeds local_max_bytes ({max})")]
    TooLarge {
        /// The profile's size.
        bytes: u64,
        /// The whole budget.
        max: u64,
    },
    /// The system refused.
    #[error("could not write to {}", path.display())]
    Io {
        /// What was written to.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl LocalError {
    /// Whether waiting can help, as it does when a disk is full.
    pub(super) fn can_pass(&self) -> bool {
        use io::ErrorKind::{InvalidFilename, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
        match self {
            Self::TooLarge { .. } => false,
            Self::Io { source, .. } => {
                !matches!(source.kind(), InvalidFilename | NotADirectory | PermissionDenied | ReadOnlyFilesystem)
            }
        }
    }
}

/// Writes files into a directory and deletes the oldest of ours to stay within a budget. Foreign files are
/// neither counted nor touched.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    max_bytes: u64,
    budget: Mutex<Budget>,
}

/// What is known of the directory without reading it again.
#[derive(Debug, Default)]
struct Budget {
    /// Bytes of ours, counted at the last look and since then by what was written here. `None` before the first
    /// look.
    used: Option<u64>,
    /// Bytes written here since the last look.
    since_look: u64,
    /// The index's length after its last compaction.
    compacted: u64,
    /// Whether the last append failed and may have left half a line.
    torn: bool,
}

/// What a look at the directory finds.
#[derive(Debug, Default)]
struct Listing {
    /// Our profiles, the oldest last.
    profiles: Vec<(String, u64)>,
    index: u64,
    /// Unfinished files, of other processes perhaps.
    unfinished: u64,
}

impl Listing {
    fn bytes(&self) -> u64 {
        self.profiles.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.index + self.unfinished
    }
}

impl Directory {
    pub(super) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self { path, max_bytes, budget: Mutex::default() }
    }

    /// Writes a file as a whole: nobody sees a part of it, and an earlier one of this name is replaced.
    /// Leaves room for the `lines` that are to follow.
    pub(super) fn write(&self, name: &str, content: &[u8], lines: &str) -> Result<(), LocalError> {
        let bytes = length(content);
        let needed = bytes.saturating_add(length(lines.as_bytes()));
        if needed > self.max_bytes {
            return Err(LocalError::TooLarge { bytes: needed, max: self.max_bytes });
        }
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut budget, needed).map_err(|source| LocalError::Io { path: self.path.clone(), source })?;
        let path = self.path.join(name);
        self.replace(&path, content).map_err(|source| LocalError::Io { path, source })?;
        budget.grow(bytes);
        Ok(())
    }

    /// Adds whole lines to the index.
    pub(super) fn append_index(&self, lines: &str) -> Result<(), LocalError> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let separator = if budget.torn { "\n" } else { "" };
        let result = index::append(&self.path, format!("{separator}{lines}").as_bytes());
        budget.torn = result.is_err();
        budget.grow(length(lines.as_bytes()));
        result.map_err(|source| LocalError::Io { path: self.path.join(index::INDEX), source })
    }

    /// Looks at the directory when it is due, and deletes until `bytes` more fit.
    fn make_room(&self, budget: &mut Budget, bytes: u64) -> io::Result<()> {
        let fits = |used: u64, max: u64| used.saturating_add(bytes) <= max;
        let look_is_due = budget.since_look >= self.max_bytes / 64;
        if budget.used.is_some_and(|used| fits(used, self.max_bytes)) && !look_is_due {
            return Ok(());
        }
        make_private_dir(&self.path)?;
        let mut listing = self.look()?;
        // Others write here as well, unseen until somebody looks. The sixteenth that a look leaves free is for
        // four processes that each look after a 64th.
        if !fits(listing.bytes(), self.max_bytes - self.max_bytes / 16) {
            self.prune(budget, &mut listing, bytes)?;
        }
        budget.used = Some(listing.bytes());
        budget.since_look = 0;
        Ok(())
    }

    /// Deletes the oldest profiles, and then their lines if there are many.
    fn prune(&self, budget: &mut Budget, listing: &mut Listing, bytes: u64) -> io::Result<()> {
        let target = (self.max_bytes - self.max_bytes / 8).saturating_sub(bytes);
        while listing.bytes() > target {
            let Some((name, _)) = listing.profiles.pop() else { break };
            remove(&self.path.join(name))?;
        }
        let tolerated = budget.compacted.saturating_mul(2).max(SMALL_INDEX.min(self.max_bytes / 8));
        if listing.index > tolerated || listing.bytes() > target {
            let live = listing.profiles.iter().map(|(name, _)| name.as_str()).collect::<HashSet<_>>();
            // Others may have written profiles since we looked.
            let keep = |name: &str| live.contains(name) || is_profile(name) && self.path.join(name).exists();
            listing.index = index::compact(&self.path, &self.temp(), keep)?;
            budget.compacted = listing.index;
        }
        Ok(())
    }

    fn look(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
            // Of the entry itself: a link to something is not ours. An entry may be gone by now.
            let Some(metadata) = entry.metadata().ok().filter(fs::Metadata::is_file) else { continue };
            if name == index::INDEX {
                listing.index = metadata.len();
            } else if is_profile(name) {
                listing.profiles.push((name.to_owned(), metadata.len()));
            } else if is_abandoned(&metadata) {
                remove(&entry.path())?;
            } else {
                listing.unfinished += metadata.len();
            }
        }
        listing.profiles.sort_unstable_by(|a, b| b.cmp(a));
        Ok(listing)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temp = self.temp();
        let written = create_new(&temp).and_then(|mut file| file.write_all(content));
        let renamed = written.and_then(|()| fs::rename(&temp, path));
        if renamed.is_err() {
            // The first error is the one to tell; what is left is removed as abandoned later.
            remove(&temp).ok();
        }
        renamed
    }

    fn temp(&self) -> PathBuf {
        self.path.join(format!("{TEMP_PREFIX}{:016x}{TEMP_SUFFIX}", random::number()))
    }
}

impl Budget {
    fn grow(&mut self, bytes: u64) {
        self.used = self.used.map(|used| used.saturating_add(bytes));
        self.since_look = self.since_look.saturating_add(bytes);
    }
}

const TEMP_PREFIX: &str = ".flame-on-";
const TEMP_SUFFIX: &str = ".tmp";

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Whether a file of this name is ours to count and to delete.
fn is_ours(name: &str) -> bool {
    name == index::INDEX || is_profile(name) || is_temp(name)
}

/// Whether `name` is `<time>-<uuid>.pb.gz`, or that of a batch of error events: both make room by age alone.
fn is_profile(name: &str) -> bool {
    const UUID: &[u8] = b"00000000-0000-0000-0000-000000000000";
    let stem = [PROFILE_SUFFIX, ERRORS_SUFFIX].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    let Some((time, id)) = stem.and_then(|stem| stem.split_once('-')) else {
        return false;
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    stamp::is_compact(time)
        && id.len() == UUID.len()
        && id.bytes().zip(UUID).all(|(byte, form)| if *form == b'0' { is_hex(byte) } else { byte == *form })
}

fn is_temp(name: &str) -> bool {
    let middle = name.strip_prefix(TEMP_PREFIX).and_then(|rest| rest.strip_suffix(TEMP_SUFFIX));
    middle.is_some_and(|middle| middle.len() == 16 && middle.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_abandoned(metadata: &fs::Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age > ABANDONED_AFTER)
}

/// Deletes a file, or a link itself; one that another process has deleted is as good.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the directory for its owner alone: profiles tell much about a service.
fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| match path.ancestors().find_map(|path| path.metadata().ok()) {
        // Each system has another word for it, and waiting does not help.
        Some(found) if !found.is_dir() => io::Error::new(io::ErrorKind::NotADirectory, error),
        _ => error,
    })
}

/// Options for a file for its owner alone, which must not be a link to another.
pub(super) fn private_options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems have no such modes"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options
}

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    private_options().write(true).create_new(true).open(path)
}
