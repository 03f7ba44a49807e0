//! The tables, and how an older database becomes a current one.

use rusqlite::Connection;

use super::StoreError;

/// Marks a file as ours: "FlOn".
const APPLICATION_ID: i64 = 0x466c_4f6e;

/// Each step leads to the schema of its place, counted from 1. A step that was released is never changed.
const STEPS: &[&str] = &["
CREATE TABLE traces (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    trace_id TEXT NOT NULL UNIQUE,
    received_us INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    event TEXT NOT NULL,
    identifier TEXT NOT NULL,
    service TEXT NOT NULL,
    environment TEXT NOT NULL,
    release TEXT NOT NULL,
    marks TEXT NOT NULL,
    cpu_us INTEGER NOT NULL,
    sleep_us INTEGER NOT NULL,
    call_us INTEGER NOT NULL,
    queue_us INTEGER NOT NULL,
    peer_us INTEGER NOT NULL
) STRICT;
CREATE INDEX traces_by_time ON traces (started_us, duration_us, identifier, trace_id);
CREATE INDEX traces_by_duration ON traces (duration_us, started_us);
CREATE INDEX traces_by_endpoint ON traces (event, identifier, started_us, duration_us, release);
CREATE TABLE profiles (
    seq INTEGER PRIMARY KEY REFERENCES traces (seq) ON DELETE CASCADE,
    pprof_gz BLOB NOT NULL
) STRICT;
CREATE TABLE errors (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    received_us INTEGER NOT NULL,
    occurred_us INTEGER NOT NULL,
    grouped_by TEXT NOT NULL,
    title TEXT NOT NULL,
    culprit TEXT NOT NULL,
    severity TEXT NOT NULL,
    handled INTEGER NOT NULL,
    service TEXT NOT NULL,
    environment TEXT NOT NULL,
    release TEXT NOT NULL,
    route TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    event_gz BLOB NOT NULL
) STRICT;
CREATE INDEX errors_by_group ON errors (grouped_by, occurred_us);
CREATE INDEX errors_by_trace ON errors (trace_id) WHERE trace_id <> '';
"];

/// Sets a fresh database up, brings an older one up to date.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let id: i64 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id != APPLICATION_ID && (id != 0 || version != 0 || tables != 0) {
        return Err(StoreError::Foreign);
    }
    let known = STEPS.len() as i64;
    if version > known {
        return Err(StoreError::TooNew { found: version, known });
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or_default()) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}
