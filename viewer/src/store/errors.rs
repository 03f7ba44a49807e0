//! Error events: put in, grouped, read.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};

use super::filter::{Arrivals, arrivals};
use super::{Store, StoreError, retention};

/// An error event that has been checked and may be kept.
#[derive(Debug)]
pub(crate) struct NewError {
    pub(crate) row: ErrorRow,
    pub(crate) received_us: i64,
    pub(crate) environment: String,
    pub(crate) release: String,
    /// The whole event, compressed.
    pub(crate) event_gz: Vec<u8>,
}

/// An error event without its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorRow {
    pub(crate) event_id: String,
    /// µs since 1970.
    pub(crate) occurred_us: i64,
    /// What it is grouped by.
    pub(crate) group: String,
    pub(crate) title: String,
    /// Where it came from: the top frame.
    pub(crate) culprit: String,
    pub(crate) severity: String,
    pub(crate) is_handled: bool,
    pub(crate) service: String,
    pub(crate) route: String,
    /// Empty when it happened outside of a trace.
    pub(crate) trace_id: String,
}

/// Errors that are alike.
#[derive(Debug)]
pub(crate) struct ErrorGroup {
    /// The latest of them.
    pub(crate) latest: ErrorRow,
    pub(crate) count: u64,
    pub(crate) first_us: i64,
}

/// Which errors are meant. Empty texts mean any.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupFilter {
    pub(crate) group: String,
    /// A part of title, culprit or route.
    pub(crate) contains: String,
    pub(crate) severity: String,
}

impl GroupFilter {
    fn clause(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["1"];
        let mut values: Vec<Value> = Vec::new();
        for (condition, text) in [
            ("grouped_by = ?", self.group.clone()),
            ("severity = ?", self.severity.clone()),
            ("instr(lower(title || ' ' || culprit || ' ' || route), ?) > 0", self.contains.to_lowercase()),
        ] {
            if !text.is_empty() {
                conditions.push(condition);
                values.push(text.into());
            }
        }
        (conditions.join(" AND "), values)
    }
}

const COLUMNS: &str = "event_id, occurred_us, grouped_by, title, culprit, severity, handled, service, route, trace_id";

impl Store {
    /// Keeps error events, all or none. One whose id is there already is taken for a repetition.
    pub(crate) fn put_errors(&self, errors: &[NewError]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        {
            let mut insert = transaction.prepare_cached(&format!(
                "INSERT INTO errors ({COLUMNS}, received_us, environment, release, event_gz)
                 VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (event_id) DO NOTHING"
            ))?;
            for NewError { row, received_us, environment, release, event_gz } in errors {
                insert.execute(params![
                    row.event_id,
                    row.occurred_us,
                    row.group,
                    row.title,
                    row.culprit,
                    row.severity,
                    row.is_handled,
                    row.service,
                    row.route,
                    row.trace_id,
                    received_us,
                    environment,
                    release,
                    event_gz
                ])?;
            }
        }
        retention::make_room(&transaction, self.bounds.max_bytes)?;
        transaction.commit()?;
        drop(writer);
        self.announce();
        Ok(())
    }

    /// The groups that are meant, the one seen last first.
    pub(crate) fn groups(&self, filter: &GroupFilter, limit: u32) -> Result<Vec<ErrorGroup>, StoreError> {
        let (clause, mut values) = filter.clause();
        values.push(limit.into());
        // SQLite takes the bare columns from the row that has the maximum.
        let query = format!(
            "SELECT {COLUMNS}, count(*), min(occurred_us), max(occurred_us) AS last FROM errors
             WHERE {clause} GROUP BY grouped_by ORDER BY last DESC LIMIT ?"
        );
        let read =
            |row: &Row<'_>| Ok(ErrorGroup { latest: read_row(row)?, count: row.get(10)?, first_us: row.get(11)? });
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&query)?;
        Ok(statement.query_map(params_from_iter(values), read)?.collect::<Result<_, _>>()?)
    }

    /// When the errors that are meant occurred.
    pub(crate) fn error_arrivals(&self, filter: &GroupFilter, parts: usize) -> Result<Arrivals, StoreError> {
        arrivals(&self.reader(), ("errors", "occurred_us"), filter.clause(), filter.clause(), (None, None), parts)
    }

    /// The latest errors of a group.
    pub(crate) fn errors_of_group(&self, group: &str, limit: u32) -> Result<Vec<ErrorRow>, StoreError> {
        self.error_rows("grouped_by = ? ORDER BY occurred_us DESC", group, limit)
    }

    /// The errors that happened in a trace.
    pub(crate) fn errors_of_trace(&self, trace_id: &str) -> Result<Vec<ErrorRow>, StoreError> {
        self.error_rows("trace_id = ? AND trace_id <> '' ORDER BY occurred_us", &trace_id.to_ascii_lowercase(), 50)
    }

    fn error_rows(&self, rest: &str, value: &str, limit: u32) -> Result<Vec<ErrorRow>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("SELECT {COLUMNS} FROM errors WHERE {rest} LIMIT ?"))?;
        Ok(statement.query_map(params![value, limit], read_row)?.collect::<Result<_, _>>()?)
    }

    /// One error and its compressed event.
    pub(crate) fn error(&self, event_id: &str) -> Result<Option<(ErrorRow, Vec<u8>)>, StoreError> {
        let query = format!("SELECT {COLUMNS}, event_gz FROM errors WHERE event_id = ?");
        let read = |row: &Row<'_>| Ok((read_row(row)?, row.get("event_gz")?));
        Ok(self.reader().query_row(&query, [event_id.to_ascii_lowercase()], read).optional()?)
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<ErrorRow> {
    Ok(ErrorRow {
        event_id: row.get(0)?,
        occurred_us: row.get(1)?,
        group: row.get(2)?,
        title: row.get(3)?,
        culprit: row.get(4)?,
        severity: row.get(5)?,
        is_handled: row.get(6)?,
        service: row.get(7)?,
        route: row.get(8)?,
        trace_id: row.get(9)?,
    })
}
