//! What is in files: profiles and error events that the agent's local adapter leaves, and any other pprof that counts time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::check::{Refusal, id};
use super::{gzip, lines, trace};
use crate::hash;
use crate::store::{Store, StoreError, retention};

/// What the local adapter's profiles end in.
const PROFILE_SUFFIX: &str = ".pb.gz";
/// What its files of error events end in.
const ERRORS_SUFFIX: &str = ".errors.jsonl";
/// What a line of JSON begins with, and no profile does.
const JSON: u8 = b'{';
/// How often a directory is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It, or a part of it, cannot be used.
    #[error("{}: {why}", path.display())]
    Refused {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports one profile, compressed or not, or the error events of a file of JSON lines.
pub(crate) fn import(store: &Store, path: &Path) -> Result<(), ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    if file.fill_buf().map_err(unreadable)?.first() == Some(&JSON) {
        return import_errors(store, path, file);
    }
    let refused = |why: Refusal| ImportError::Refused { path: path.to_owned(), why: why.to_string() };
    let bytes = read(file).map_err(unreadable)?;
    let bytes =
        if bytes.starts_with(&GZIP) { gzip::expand(&bytes, trace::MAX_PROFILE).map_err(refused)? } else { bytes };
    let bytes = Bytes::from(bytes);
    let (trace, _) = trace::from_profile(&bytes, id_of(path, &bytes), retention::now_us()).map_err(refused)?;
    Ok(store.put_traces(&[trace])?)
}

/// A line that cannot be used takes no other with it; the first one is told.
fn import_errors(store: &Store, path: &Path, mut file: impl BufRead) -> Result<(), ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let mut first_refusal = None;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        // Of a longer one the rest is the next, and as bad.
        let most = lines::MAX_LINE as u64 + 1;
        if file.by_ref().take(most).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        match lines::from_line(&line, retention::now_us()) {
            Ok(error) => store.put_errors(&[error])?,
            Err(why) if first_refusal.is_none() => first_refusal = Some(format!("line {number}: {why}")),
            Err(_) => {}
        }
    }
    match first_refusal {
        Some(why) => Err(ImportError::Refused { path: path.to_owned(), why }),
        None => Ok(()),
    }
}

/// One byte more than allowed is enough to see that there is too much.
fn read(file: impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(trace::MAX_PROFILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The id in the name `<time>-<id>.pb.gz`; of other files a hash of what is in them, so that a file counts once.
fn id_of(path: &Path, bytes: &Bytes) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let of_adapter = name.strip_suffix(PROFILE_SUFFIX).and_then(|name| name.split_once('-')).map(|(_, id)| id);
    let uuid = of_adapter.filter(|id| id.len() == 36);
    uuid.and_then(|uuid| id("trace_id", uuid).ok()).unwrap_or_else(|| format!("file-{:016x}", hash::of([bytes])))
}

/// Imports what appears in a directory, for as long as the future is polled.
pub(crate) async fn watch(store: std::sync::Arc<Store>, directory: PathBuf) {
    let mut seen = HashSet::new();
    loop {
        let (store, directory) = (store.clone(), directory.clone());
        let look = tokio::task::spawn_blocking(move || {
            import_all(&store, &directory, &mut seen);
            seen
        });
        // A panic in it ends the watch: what is in the store stays.
        let Ok(still_seen) = look.await else { return };
        seen = still_seen;
        tokio::time::sleep(PERIOD).await;
    }
}

/// Imports each file once: a bad one is said once. What is gone is forgotten.
fn import_all(store: &Store, directory: &Path, seen: &mut HashSet<PathBuf>) {
    // A directory that is not there yet is an empty one.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        path.to_str().is_some_and(|path| path.ends_with(PROFILE_SUFFIX) || path.ends_with(ERRORS_SUFFIX))
    };
    let present: HashSet<PathBuf> = entries.filter(is_ours).collect();
    seen.retain(|path| present.contains(path));
    let mut fresh: Vec<_> = present.difference(seen).cloned().collect();
    fresh.sort();
    for path in fresh {
        match import(store, &path) {
            // Tried again at the next look.
            Err(ImportError::Store(error)) => tracing::warn!("cannot import {}: {error}", path.display()),
            Err(error) => {
                tracing::warn!("not imported: {error}");
                seen.insert(path);
            }
            Ok(()) => {
                seen.insert(path);
            }
        }
    }
}
