//! Which traces are meant.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::StoreError;

/// How a list is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The newest first.
    #[default]
    Time,
    /// The longest first.
    Duration,
}

/// Which traces are meant. Empty texts and `None` mean any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TraceFilter {
    pub(crate) event: String,
    /// The whole identifier.
    pub(crate) identifier: Option<String>,
    /// A part of the identifier or of the trace id.
    pub(crate) contains: String,
    pub(crate) release: String,
    /// Began at or after, in µs since 1970.
    pub(crate) from_us: Option<i64>,
    /// Began before.
    pub(crate) to_us: Option<i64>,
    pub(crate) min_us: Option<i64>,
}

impl TraceFilter {
    /// The `WHERE` clause and its parameters.
    pub(super) fn clause(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["1"];
        let mut values: Vec<Value> = Vec::new();
        let mut add = |condition, value: Value| {
            conditions.push(condition);
            values.push(value);
        };
        if !self.event.is_empty() {
            add("event = ?", self.event.clone().into());
        }
        if let Some(identifier) = &self.identifier {
            add("identifier = ?", identifier.clone().into());
        }
        if !self.release.is_empty() {
            add("release = ?", self.release.clone().into());
        }
        if let Some(from) = self.from_us {
            add("started_us >= ?", from.into());
        }
        if let Some(to) = self.to_us {
            add("started_us < ?", to.into());
        }
        if let Some(min) = self.min_us {
            add("duration_us >= ?", min.into());
        }
        if !self.contains.is_empty() {
            // instr and not LIKE, whose wildcards would have to be escaped. Ids are kept in lower case.
            let part: Value = self.contains.to_lowercase().into();
            conditions.push("(instr(lower(identifier), ?) > 0 OR instr(trace_id, ?) > 0)");
            values.extend([part.clone(), part]);
        }
        (conditions.join(" AND "), values)
    }
}

/// How many traces began in each of equal parts of a range.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals {
    pub(crate) counts: Vec<u64>,
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
}

impl Arrivals {
    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Counts by time: of `table`, by its column `time`, in `parts` parts of the range. Where it is open, the rows of the
/// wider clause have set it: one that an index answers.
pub(super) fn arrivals(
    connection: &Connection,
    source: (&str, &str),
    (clause, values): (String, Vec<Value>),
    (wide, wide_values): (String, Vec<Value>),
    range: (Option<i64>, Option<i64>),
    parts: usize,
) -> Result<Arrivals, StoreError> {
    let (table, time) = source;
    let bound = |what: &str| -> Result<Option<i64>, StoreError> {
        let query = format!("SELECT {what}({time}) FROM {table} WHERE {wide}");
        Ok(connection.prepare(&query)?.query_row(params_from_iter(&wide_values), |row| row.get(0))?)
    };
    let from = if range.0.is_some() { range.0 } else { bound("min")? };
    let to = if range.1.is_some() { range.1 } else { bound("max")?.map(|last| last.saturating_add(1)) };
    let (Some(from_us), Some(to_us)) = (from, to) else { return Ok(Arrivals::default()) };
    let width = (to_us.saturating_sub(from_us) / parts.max(1) as i64 + 1).max(1);
    let query =
        format!("SELECT ({time} - {from_us}) / {width} AS part, count(*) FROM {table} WHERE {clause} GROUP BY part");
    let mut counts = vec![0; parts];
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query(params_from_iter(&values))?;
    while let Some(row) = rows.next()? {
        let part = usize::try_from(row.get::<_, i64>(0)?).ok();
        if let Some(count) = part.and_then(|part| counts.get_mut(part)) {
            *count = row.get(1)?;
        }
    }
    Ok(Arrivals { counts, from_us, to_us })
}
