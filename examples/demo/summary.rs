//! What the viewer has received, as a table.

use std::time::Duration;

use flame_on::Stats;
use flame_on_viewer::{TraceSummary, Viewer};

use crate::{THRESHOLD, client};

/// Prints the table. Fails when nothing has arrived, or when the parts of a trace are not the whole.
pub(crate) async fn print(viewer: &Viewer, stats: &Stats) -> anyhow::Result<()> {
    let traces = viewer.newest(1_000).await?;
    anyhow::ensure!(traces.len() as u64 == stats.shipped, "{} traces of {} have arrived", traces.len(), stats.shipped);
    anyhow::ensure!(!traces.is_empty(), "nothing was shipped: {stats:?}");
    println!("{:<28} {:>9} {:>7} {:>7} {:>7} {:>7}", "identifier", "ms", "cpu", "wait", "call", "client");
    for trace in traces.iter().rev() {
        let parts = trace.cpu + trace.sleep + trace.call + trace.queue + trace.peer;
        anyhow::ensure!(parts == trace.duration, "the parts of {trace:?} sum to {parts:?}");
        print_row(trace);
    }
    println!(
        "\nOf {} requests {} traces were shipped, {} were below {THRESHOLD:?}.",
        client::REQUESTS,
        stats.shipped,
        stats.below_threshold
    );
    Ok(())
}

fn print_row(trace: &TraceSummary) {
    let share =
        |part: Duration| format!("{:.0} %", 100.0 * part.as_secs_f64() / trace.duration.as_secs_f64().max(1e-9));
    println!(
        "{:<28} {:>9.1} {:>7} {:>7} {:>7} {:>7}",
        trace.identifier,
        trace.duration.as_secs_f64() * 1e3,
        share(trace.cpu),
        share(trace.sleep + trace.queue),
        share(trace.call),
        share(trace.peer),
    );
}
