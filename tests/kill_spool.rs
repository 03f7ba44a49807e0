//! A process that is killed at a random moment while it spools: the next one delivers all that had been spooled.
//!
//! The process is this test binary, started again with a variable set.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use flame_on::{Config, FlameOn, FlameOnGuard, ShipContext, ShipError, ShipperAdapter, TraceBatch};

const CHILD: &str = "FLAME_ON_KILL_TEST_DIR";
const PATIENCE: Duration = Duration::from_secs(60);

/// Says which traces it was given and takes none of them: they go to the spool.
struct Down;

impl ShipperAdapter<TraceBatch> for Down {
    async fn ship(&self, _: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        Err(ShipError::retryable("down"))
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl ShipperAdapter<TraceBatch> for Kept {
    async fn ship(&self, batch: &TraceBatch, _: &ShipContext) -> Result<(), ShipError> {
        self.0.lock().unwrap().extend(batch.traces().iter().map(|trace| trace.identifier().to_owned()));
        Ok(())
    }
}

fn start(dir: &Path, adapter: impl ShipperAdapter<TraceBatch>) -> FlameOnGuard {
    let config = Config::builder()
        .ignore_env()
        .capture(true)
        .sample_rate(1.0)
        .dedupe_enabled(false)
        // Nothing waits for names: what is spooled within a moment is what counts.
        .native_capture(flame_on::NativeCapture::Off)
        .event("test.unit", flame_on::UnitSettings::new().threshold(Duration::ZERO))
        .flush_interval(Duration::from_millis(5))
        .send_timeout(Duration::from_millis(500))
        .spool_dir(dir)
        .shipper(adapter);
    FlameOn::start(config.build().unwrap()).unwrap()
}

/// What the killed process does until it is killed: it spools, and says what it has spooled for certain.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let agent = start(Path::new(&dir), Down);
    let mut number = 0_u64;
    loop {
        for _ in 0..3 {
            agent.unit("test.unit", || format!("unit {number}")).in_scope(|| ());
            number += 1;
        }
        agent.flush_blocking(Duration::from_millis(20));
        let stats = agent.stats();
        // In the order of their ends, so all up to here are on disk when nothing waits and nothing was lost.
        if stats.spooled == number && stats.lost() == 0 {
            use std::io::Write as _;
            // Not `println!`, which the test harness would catch.
            writeln!(std::io::stdout(), "spooled {number}").unwrap();
        }
    }
}

/// Starts a child and kills it after `pause`, which begins with the child or once it has spooled. Gives how many traces it
/// has spooled for certain.
fn killed_after(dir: &Path, has_spooled: bool, pause: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (said, first) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let numbers = lines.map_while(Result::ok).filter_map(|line| line.rsplit_once("spooled ")?.1.parse().ok());
        // `Err`: nobody waits for the first one.
        numbers.inspect(|_| said.send(()).unwrap_or(())).last().unwrap_or(0)
    });
    if has_spooled {
        first.recv_timeout(PATIENCE).unwrap();
    }
    std::thread::sleep(pause);
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn run(round: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    // Any moment will do: what was certain by then is what counts. Every other child has come so far that it is something.
    let has_spooled = round % 2 == 1;
    let pause = Duration::from_millis(round * 7_919 % 400 + if has_spooled { 0 } else { 150 });
    let certain = killed_after(dir.path(), has_spooled, pause);
    assert!(certain > 0 || !has_spooled);
    let kept = Kept::default();
    let next = start(dir.path(), kept.clone());
    // A disk that once did not answer in time is left alone for a minute.
    let deadline = Instant::now() + 5 * PATIENCE;
    let is_missing = || {
        let kept: HashSet<String> = kept.0.lock().unwrap().iter().cloned().collect();
        (0..certain).filter(|number| !kept.contains(&format!("unit {number}"))).count()
    };
    while is_missing() > 0 {
        assert!(Instant::now() < deadline, "{} of {certain} are missing: {:#?}", is_missing(), next.stats());
        next.flush_blocking(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = next.stats();
    assert_eq!((stats.trace_queue.spool.skipped_files, stats.trace_queue.spool.rejected), (0, 0), "{stats:#?}");
    next.shutdown_blocking(PATIENCE);
    certain
}

#[test]
fn what_was_spooled_before_a_kill_is_delivered_by_the_next_process() {
    if std::env::var_os(CHILD).is_none() {
        for round in 0..5 {
            run(round);
        }
    }
}

#[test]
#[ignore = "takes minutes; `.ci/run --long` runs it"]
fn a_hundred_kills() {
    if std::env::var_os(CHILD).is_none() {
        assert!((0..100).map(run).sum::<u64>() > 100);
    }
}
