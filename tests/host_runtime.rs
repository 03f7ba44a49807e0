//! The agent's end beside the end of the host's own runtime. What is left goes to a real server, traces and errors alike.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{PATIENCE, UNIT, assert_nothing_is_left, eventually, trace_one};
use flame_on::__server::IngestServer;
use flame_on::{
    Config, ErrorBatch, FlameOn, FlameOnGuard, Report, ShipContext, ShipError, ShipperAdapter, UnitSettings,
};
use tokio::runtime::{Builder, Runtime};

/// Counts the events it is given.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl ShipperAdapter<ErrorBatch> for Counted {
    async fn ship(&self, batch: &ErrorBatch, _: &ShipContext) -> Result<(), ShipError> {
        self.0.fetch_add(batch.events().len(), Ordering::Relaxed);
        Ok(())
    }
}

impl Counted {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A server on another machine, as it were, and an agent that ships to it.
struct Rig {
    /// Serves as long as it lives.
    _servers: Runtime,
    server: IngestServer,
    errors: Counted,
}

impl Rig {
    fn new() -> Self {
        // Where a drop has two seconds for all that it ships, the first backtrace of a process may take one of them.
        drop(std::backtrace::Backtrace::force_capture().to_string());
        let servers = runtime();
        let server = servers.block_on(servers.spawn(IngestServer::start(([127, 0, 0, 1], 0).into()))).unwrap().unwrap();
        Self { _servers: servers, server, errors: Counted::default() }
    }

    fn start(&self) -> FlameOnGuard {
        let config = Config::builder()
            .ignore_env()
            .process_default(false)
            .capture(true)
            .sample_rate(1.0)
            .dedupe_enabled(false)
            .native_capture(flame_on::NativeCapture::Off)
            .event(UNIT, UnitSettings::new().threshold(Duration::ZERO))
            .server_url(self.server.address().to_string())
            .use_ssl(false)
            .capture_errors(true)
            .error_shipper(self.errors.clone());
        FlameOn::start(config.build().unwrap()).unwrap()
    }

    fn traces(&self) -> usize {
        self.server.received().iter().map(|batch| batch.traces.len()).sum()
    }

    /// An agent that has shipped a trace and an error: a drop in a runtime gives what is left two seconds, which a first
    /// connection and a first backtrace could take on a busy machine.
    fn start_and_ship(&self) -> FlameOnGuard {
        let guard = self.start();
        trace_one(&guard);
        // Another one than `fail_one` tells, which would count as a duplicate.
        guard.capture(Report::message("the first"));
        assert!(guard.flush_blocking(PATIENCE).within_deadline);
        self.wait_for(1, 1);
        guard
    }

    /// A drop inside of a runtime only signals, so this is what is left to its caller.
    #[track_caller]
    fn wait_for(&self, traces: usize, errors: usize) {
        eventually("all arrives", || (self.traces(), self.errors.get()) == (traces, errors));
    }
}

fn fail_one(agent: &FlameOn) {
    agent.capture(Report::message("not paid"));
}

#[test]
fn shut_down_after_the_hosts_runtime_is_gone_it_ships_what_is_left() {
    let rig = Rig::new();
    let host = runtime();
    let guard = host.block_on(async { rig.start() });
    host.block_on(async {
        guard.unit(UNIT, || "in the runtime").run(tokio::task::yield_now()).await;
        fail_one(&guard);
    });
    drop(host);
    let agent = guard.handle();
    let report = guard.shutdown_blocking(PATIENCE);
    assert!(report.within_deadline, "{report:?}");
    assert_eq!((report.shipped, report.errors_shipped, report.lost + report.errors_lost), (1, 1, 0));
    assert_eq!((rig.traces(), rig.errors.get()), (1, 1));
    assert_nothing_is_left(&agent);
}

#[test]
fn a_guard_that_a_task_owns_is_dropped_by_the_runtimes_shutdown_and_ships_what_is_left() {
    let rig = Rig::new();
    let host = runtime();
    let guard = rig.start_and_ship();
    let agent = guard.handle();
    let (running, is_running) = mpsc::channel();
    let unit = agent.unit(UNIT, || "running");
    host.spawn(async move {
        let _guard = guard;
        unit.run(async {
            running.send(()).unwrap();
            std::future::pending::<()>().await;
        })
        .await;
    });
    is_running.recv_timeout(PATIENCE).unwrap();
    trace_one(&agent);
    fail_one(&agent);
    host.shutdown_timeout(PATIENCE);
    rig.wait_for(3, 2);
    assert_nothing_is_left(&agent);
    assert_eq!(agent.stats().cancelled, 1);
}

#[test]
fn a_panic_that_unwinds_through_its_owner_in_a_task_ends_it_and_passes_on() {
    let rig = Rig::new();
    let host = runtime();
    let guard = rig.start_and_ship();
    let agent = guard.handle();
    let ended = host.block_on(host.spawn(async move {
        guard.unit(UNIT, || "one").run(async { panic!("the host's own") }).await;
        drop(guard);
    }));
    assert_eq!(ended.unwrap_err().into_panic().downcast_ref(), Some(&"the host's own"));
    // The panic is told as an error, too.
    rig.wait_for(2, 2);
    assert_nothing_is_left(&agent);
    assert_eq!(agent.stats().panicked, 1);
}

#[test]
fn shut_down_inside_a_runtime_whose_other_threads_are_blocked_it_needs_none_of_them() {
    let rig = Rig::new();
    let guard = rig.start();
    let agent = guard.handle();
    trace_one(&agent);
    let host = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    host.spawn(async move { released.recv().unwrap_or_default() });
    let report = host.block_on(guard.shutdown(PATIENCE));
    assert!(report.within_deadline && report.shipped == 1, "{report:?}");
    drop(release);
    assert_eq!(rig.traces(), 1);
}
