//! One connection that writes, and some that read meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;

use super::{Bounds, Data, StoreError, schema};

/// The database's file name.
const FILE: &str = "flame-on-viewer.sqlite3";
/// Connections that read: requests beyond them wait for one.
const READERS: usize = 4;
/// How long a connection waits for another process, such as an import.
const BUSY: Duration = Duration::from_secs(10);

/// The store. Shared by reference; all calls block.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) bounds: Bounds,
    writer: Mutex<Connection>,
    /// Empty for a store in memory, which only its one connection can see.
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    /// Counts what has arrived, for pages that are open.
    arrived: watch::Sender<u64>,
}

impl Store {
    /// Opens the store, and makes it when there is none.
    pub(crate) fn open(data: &Data, bounds: Bounds) -> Result<Self, StoreError> {
        let (mut writer, readers) = match data {
            Data::Memory => (Connection::open_in_memory()?, 0),
            Data::Directory(directory) => {
                let make = |source| StoreError::Directory { path: directory.clone(), source };
                make_private(directory).map_err(make)?;
                (Connection::open(directory.join(FILE))?, READERS)
            }
        };
        set_up(&writer)?;
        schema::migrate(&mut writer)?;
        let path = writer.path().map(str::to_owned).unwrap_or_default();
        let reader = |_| {
            let connection = Connection::open(&path)?;
            set_up(&connection)?;
            connection.pragma_update(None, "query_only", true)?;
            Ok::<_, StoreError>(Mutex::new(connection))
        };
        let readers = (0..readers).map(reader).collect::<Result<_, _>>()?;
        let (arrived, next_reader) = (watch::channel(0).0, AtomicUsize::new(0));
        let store = Self { bounds, writer: Mutex::new(writer), readers, next_reader, arrived };
        store.evict_old(super::retention::now_us())?;
        Ok(store)
    }

    /// The connection that writes.
    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic leaves the connection in a transaction that its drop rolls back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to read with: a free one, else the next in turn.
    pub(super) fn reader(&self) -> MutexGuard<'_, Connection> {
        if let Some(free) = self.readers.iter().find_map(|reader| reader.try_lock().ok()) {
            return free;
        }
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len().max(1);
        let connection = self.readers.get(turn).unwrap_or(&self.writer);
        connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever something has arrived.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    pub(super) fn announce(&self) {
        self.arrived.send_modify(|count| *count += 1);
    }
}

/// Traces tell about a service: they are not for everybody on the machine.
fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn set_up(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    // Freed pages go back to the file system in small steps. Only takes effect before the first table.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // What is confirmed survives the process; `NORMAL` leaves only a power cut's last moments open.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // KiB, for each connection.
    connection.pragma_update(None, "cache_size", -8_192)?;
    Ok(())
}
