//! A trace in a few numbers.

use std::time::Duration;

use crate::store::TraceRow;

/// A trace in a few numbers. The five parts sum to the duration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceSummary {
    /// Its id: the page is `/trace/<id>`.
    pub trace_id: String,
    /// Its event name.
    pub event: String,
    /// Its identifier.
    pub identifier: String,
    /// From its start to its end.
    pub duration: Duration,
    /// The part in which it ran.
    pub cpu: Duration,
    /// The part in which it waited for nobody in particular.
    pub sleep: Duration,
    /// The part in which it waited for somebody by name.
    pub call: Duration,
    /// The part in which it was woken and waited for its turn.
    pub queue: Duration,
    /// The part in which it waited for its client.
    pub peer: Duration,
}

impl From<TraceRow> for TraceSummary {
    fn from(row: TraceRow) -> Self {
        // What is stored was checked to be at least zero.
        let micros = |micros: i64| Duration::from_micros(micros.unsigned_abs());
        Self {
            duration: micros(row.duration_us),
            cpu: micros(row.split.cpu),
            sleep: micros(row.split.sleep),
            call: micros(row.split.call),
            queue: micros(row.split.queue),
            peer: micros(row.split.peer),
            trace_id: row.trace_id,
            event: row.event,
            identifier: row.identifier,
        }
    }
}
