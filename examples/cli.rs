//! A command-line batch: no runtime at the start, `?` in `main`, a runtime made later.
use std::time::Duration;

use flame_on::{Config, FlameOn, frame, metadata};

fn crunch(row: u64) -> Result<u64, std::num::ParseIntError> {
    frame!("crunch");
    row.to_string().parse()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let flame_on = FlameOn::start(
        Config::builder()
            .ignore_env()
            .service("nightly")
            .capture(true)
            .sample_rate(1.0)
            .local_dir(dir.path())
            .build()?,
    )?;
    let batch_id = 42;

    let sum = flame_on
        .unit("shop.batch", || format!("batch {batch_id}"))
        .in_scope(|| (0..10).filter_map(|row| crunch(row).ok()).sum::<u64>());
    // The lazy metadata borrows locals.
    let source = String::from("s3://bucket");
    flame_on
        .event("shop.import.start", || metadata! { "source" => &source, "rows" => sum, "dry" => false })
        .in_scope(|| ());

    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(
        flame_on.unit("shop.upload", || "upload").run(async { tokio::time::sleep(Duration::from_millis(1)).await }),
    );

    // `std::process::exit` runs no destructor, so say it. Blocking: there is no runtime here.
    let report = flame_on.shutdown_blocking(Duration::from_secs(2));
    drop(dir);
    std::process::exit(i32::from(report.lost > 0));
}
