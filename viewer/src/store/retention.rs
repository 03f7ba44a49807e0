//! What makes room: the oldest arrivals, by age and by bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

use super::{Store, StoreError};

/// Rows that go at once when there is no room.
const STEP: i64 = 64;

impl Store {
    /// Deletes what has arrived too long before `now`.
    pub(crate) fn evict_old(&self, now_us: i64) -> Result<(), StoreError> {
        let keep = i64::try_from(self.bounds.keep.as_micros()).unwrap_or(i64::MAX);
        let limit = now_us.saturating_sub(keep);
        let writer = self.writer();
        writer.execute("DELETE FROM traces WHERE seq IN (SELECT seq FROM traces WHERE received_us < ?1)", [limit])?;
        writer.execute("DELETE FROM errors WHERE received_us < ?1", [limit])?;
        give_back(&writer)
    }
}

/// Deletes the oldest until what is left fits.
pub(super) fn make_room(connection: &Connection, max_bytes: u64) -> Result<(), StoreError> {
    if used_bytes(connection)? <= max_bytes {
        return Ok(());
    }
    while used_bytes(connection)? > max_bytes {
        if delete_oldest(connection)? == 0 {
            break;
        }
    }
    give_back(connection)
}

/// Bytes of pages in use.
fn used_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")?.saturating_sub(pragma("freelist_count")?)).saturating_mul(pragma("page_size")?))
}

fn delete_oldest(connection: &Connection) -> Result<usize, StoreError> {
    let oldest = |table| {
        let query = format!("SELECT received_us FROM {table} ORDER BY seq LIMIT 1");
        connection.prepare(&query)?.query_map([], |row| row.get::<_, i64>(0))?.next().transpose()
    };
    let table = match (oldest("traces")?, oldest("errors")?) {
        (None, None) => return Ok(0),
        (Some(trace), Some(error)) if error < trace => "errors",
        (None, Some(_)) => "errors",
        (Some(_), _) => "traces",
    };
    let delete = format!("DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?1)");
    Ok(connection.execute(&delete, params![STEP])?)
}

fn give_back(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("PRAGMA incremental_vacuum")?;
    Ok(())
}

/// µs since 1970.
pub(crate) fn now_us() -> i64 {
    // A clock before 1970 counts as 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
