//! The embedded store: SQLite, profiles compressed, bounded by bytes and age.
//!
//! What [`Store::put_traces`] or [`Store::put_errors`] has returned is on disk, so that a killed process loses nothing that
//! it had confirmed. All calls block: they belong on a blocking thread.

mod connections;
mod errors;
mod filter;
pub(crate) mod retention;
mod schema;
mod traces;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::connections::Store;
pub(crate) use self::errors::{ErrorGroup, ErrorRow, GroupFilter, NewError};
pub(crate) use self::filter::{Arrivals, Sort, TraceFilter};
pub(crate) use self::traces::{Durations, Endpoint, NewTrace, TraceRow};

/// Where a store keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// In a file of this directory, which is made if it does not exist.
    Directory(PathBuf),
    /// Nowhere: it ends with the process.
    Memory,
}

/// How much a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the database; the oldest traces and errors make room for new ones.
    pub max_bytes: u64,
    /// How long anything is kept after it has arrived.
    pub keep: Duration,
}

impl Default for Bounds {
    /// 1 GiB, 7 days.
    fn default() -> Self {
        Self { max_bytes: 1 << 30, keep: Duration::from_secs(7 * 24 * 3_600) }
    }
}

/// Why the store cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory cannot be made.
    #[error("cannot make the directory {}: {source}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A version of this program that knows more has made the database.
    #[error("the database is of schema {found}, and this program knows up to {known}: use a newer version of it")]
    TooNew {
        /// The database's schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("the file is not a database of this program")]
    Foreign,
    /// SQLite says no.
    #[error("the database cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
}
