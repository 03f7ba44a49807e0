//! Traces: put in, listed, read.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};

use super::filter::{Arrivals, Sort, TraceFilter, arrivals};
use super::{Store, StoreError, retention};
use crate::graph::split::Split;

/// A trace that has been checked and may be kept.
#[derive(Debug)]
pub(crate) struct NewTrace {
    pub(crate) row: TraceRow,
    /// Its pprof, compressed.
    pub(crate) pprof_gz: Vec<u8>,
}

/// A trace without its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceRow {
    pub(crate) trace_id: String,
    /// µs since 1970.
    pub(crate) received_us: i64,
    /// µs since 1970.
    pub(crate) started_us: i64,
    pub(crate) duration_us: i64,
    pub(crate) event: String,
    pub(crate) identifier: String,
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) release: String,
    /// What was left out of it, separated by spaces.
    pub(crate) marks: String,
    pub(crate) split: Split,
}

/// All traces of one event name and identifier.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) event: String,
    pub(crate) identifier: String,
    pub(crate) count: u64,
    pub(crate) max_us: i64,
    pub(crate) sum_us: i64,
    pub(crate) last_us: i64,
}

/// How durations are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Durations {
    pub(crate) count: u64,
    pub(crate) p50: i64,
    pub(crate) p95: i64,
    pub(crate) max: i64,
}

const COLUMNS: &str = "trace_id, received_us, started_us, duration_us, event, identifier, service, environment, release, \
     marks, cpu_us, sleep_us, call_us, queue_us, peer_us";

impl Store {
    /// Keeps traces, all or none. One whose id is there already is taken for a repetition and left as it is.
    pub(crate) fn put_traces(&self, traces: &[NewTrace]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        {
            let mut trace = transaction.prepare_cached(&format!(
                "INSERT INTO traces ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (trace_id) DO NOTHING"
            ))?;
            let mut profile = transaction.prepare_cached("INSERT INTO profiles (seq, pprof_gz) VALUES (?, ?)")?;
            for NewTrace { row, pprof_gz } in traces {
                let split = row.split;
                let head = params![
                    row.trace_id,
                    row.received_us,
                    row.started_us,
                    row.duration_us,
                    row.event,
                    row.identifier,
                    row.service,
                    row.environment,
                    row.release,
                    row.marks,
                    split.cpu,
                    split.sleep,
                    split.call,
                    split.queue,
                    split.peer
                ];
                if trace.execute(head)? > 0 {
                    profile.execute(params![transaction.last_insert_rowid(), pprof_gz])?;
                }
            }
        }
        retention::make_room(&transaction, self.bounds.max_bytes)?;
        transaction.commit()?;
        drop(writer);
        self.announce();
        Ok(())
    }

    /// A page of the traces that are meant.
    pub(crate) fn traces(
        &self,
        filter: &TraceFilter,
        sort: Sort,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<TraceRow>, StoreError> {
        let (clause, mut values) = filter.clause();
        values.extend([Value::from(limit), Value::from(offset)]);
        let order = match sort {
            Sort::Time => "started_us DESC, duration_us DESC",
            Sort::Duration => "duration_us DESC, started_us DESC",
        };
        let query = format!("SELECT {COLUMNS} FROM traces WHERE {clause} ORDER BY {order} LIMIT ? OFFSET ?");
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&query)?;
        let rows = statement.query_map(params_from_iter(values), read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One trace and its compressed pprof.
    pub(crate) fn trace(&self, trace_id: &str) -> Result<Option<(TraceRow, Vec<u8>)>, StoreError> {
        let query = format!("SELECT {COLUMNS}, pprof_gz FROM traces JOIN profiles USING (seq) WHERE trace_id = ?");
        let reader = self.reader();
        let read = |row: &Row<'_>| Ok((read_row(row)?, row.get("pprof_gz")?));
        Ok(reader.query_row(&query, [trace_id.to_ascii_lowercase()], read).optional()?)
    }

    /// The keys of the newest traces that are meant, for [`Store::profile`].
    pub(crate) fn newest(&self, filter: &TraceFilter, limit: u32) -> Result<Vec<i64>, StoreError> {
        let (clause, mut values) = filter.clause();
        values.push(limit.into());
        let query = format!("SELECT seq FROM traces WHERE {clause} ORDER BY started_us DESC LIMIT ?");
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&query)?;
        Ok(statement.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// The compressed pprof under a key; `None` when it has made room for others meanwhile.
    pub(crate) fn profile(&self, key: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT pprof_gz FROM profiles WHERE seq = ?")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Whether a trace is there.
    pub(crate) fn has_trace(&self, trace_id: &str) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM traces WHERE trace_id = ?";
        Ok(self.reader().query_row(query, [trace_id.to_ascii_lowercase()], |_| Ok(())).optional()?.is_some())
    }

    /// When the traces that are meant began.
    pub(crate) fn trace_arrivals(&self, filter: &TraceFilter, parts: usize) -> Result<Arrivals, StoreError> {
        let range = (filter.from_us, filter.to_us);
        let wide = TraceFilter { contains: String::new(), min_us: None, ..filter.clone() };
        arrivals(&self.reader(), ("traces", "started_us"), filter.clause(), wide.clause(), range, parts)
    }

    /// How the durations of the traces that are meant are spread.
    pub(crate) fn durations(&self, filter: &TraceFilter) -> Result<Durations, StoreError> {
        let (clause, values) = filter.clause();
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("SELECT duration_us FROM traces WHERE {clause} ORDER BY duration_us"))?;
        let sorted: Vec<i64> =
            statement.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?;
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(rank).copied().unwrap_or_default()
        };
        Ok(Durations { count: sorted.len() as u64, p50: at(50), p95: at(95), max: at(100) })
    }

    /// Every endpoint of the traces that are meant, the one that took most of the time first.
    pub(crate) fn endpoints(&self, filter: &TraceFilter, limit: u32) -> Result<Vec<Endpoint>, StoreError> {
        let (clause, mut values) = filter.clause();
        values.push(limit.into());
        let query = format!(
            "SELECT event, identifier, count(*), max(duration_us), total(duration_us) AS sum, max(started_us) FROM traces
             WHERE {clause} GROUP BY event, identifier ORDER BY sum DESC LIMIT ?"
        );
        let read = |row: &Row<'_>| {
            Ok(Endpoint {
                event: row.get(0)?,
                identifier: row.get(1)?,
                count: row.get(2)?,
                max_us: row.get(3)?,
                sum_us: row.get::<_, f64>(4)? as i64,
                last_us: row.get(5)?,
            })
        };
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&query)?;
        Ok(statement.query_map(params_from_iter(values), read)?.collect::<Result<_, _>>()?)
    }

    /// The event names that there are.
    pub(crate) fn events(&self) -> Result<Vec<String>, StoreError> {
        // From one to the next along the index, since DISTINCT would visit every row.
        self.texts(
            "WITH RECURSIVE names (name) AS (
                SELECT min(event) FROM traces
                UNION ALL SELECT (SELECT min(event) FROM traces WHERE event > name) FROM names WHERE name IS NOT NULL
            ) SELECT name FROM names WHERE name IS NOT NULL LIMIT 100",
            &[],
        )
    }

    /// The releases of an endpoint, the one seen last first.
    pub(crate) fn releases(&self, event: &str, identifier: &str) -> Result<Vec<String>, StoreError> {
        self.texts(
            "SELECT release FROM traces WHERE event = ? AND identifier = ? GROUP BY release
             ORDER BY max(started_us) DESC LIMIT 50",
            &[event, identifier],
        )
    }

    fn texts(&self, query: &str, values: &[&str]) -> Result<Vec<String>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(query)?;
        Ok(statement.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<TraceRow> {
    Ok(TraceRow {
        trace_id: row.get(0)?,
        received_us: row.get(1)?,
        started_us: row.get(2)?,
        duration_us: row.get(3)?,
        event: row.get(4)?,
        identifier: row.get(5)?,
        service: row.get(6)?,
        environment: row.get(7)?,
        release: row.get(8)?,
        marks: row.get(9)?,
        split: Split {
            cpu: row.get(10)?,
            sleep: row.get(11)?,
            call: row.get(12)?,
            queue: row.get(13)?,
            peer: row.get(14)?,
        },
    })
}
