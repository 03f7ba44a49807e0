//! The agent's own threads: a blocked host runtime never starves it, and it never runs on one of the host's.
//!
//! ```text
//! flame-on          current-thread runtime: the actors, the pumps, the main loop
//! flame-on (more)   its blocking pool: finishing traces that are not small, adapters
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::actors::collector::CollectorMsg;
use crate::actors::memory_watcher::MemoryWatcherMsg;
use crate::actors::parts::Parts;
use crate::actors::seq_trace_router::SeqTraceRouterMsg;
use crate::actors::shipper::ShipperMsg;
use crate::actors::supervisor::ship_all;
use crate::actors::tree::Tree;
use crate::agent::StartError;
use crate::capture::core::{CaptureCore, Shut};
use crate::capture::current;
use crate::capture::inbox::Pace;
use crate::errors::core::ErrorCore;
use crate::safety::cpu::threads::AgentThreads;

/// Time for the tree to come up; it takes about a millisecond on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Commands that wait for the main loop.
const MAX_COMMANDS: usize = 64;
/// Threads of the blocking pool besides those that finish traces: the batch in flight, two abandoned adapter calls
/// each for traces and errors, and one to spare.
const OTHER_BLOCKING_THREADS: usize = 6;
/// How long an idle thread of the pool is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What the handle asks of the main loop.
pub(crate) enum Command {
    /// Ship what is finished by now.
    Flush(Duration, Done),
    /// The configuration has changed: timers that run by it begin anew.
    Reloaded,
    /// Make the named actor fail.
    #[cfg(feature = "testing")]
    Fail(String, Done),
}

/// Finish and ship everything within the limit, then end.
pub(crate) struct Stop {
    pub(crate) limit: Duration,
    pub(crate) done: Done,
}

/// Told once whether everything was done within the limit.
pub(crate) type Done = Box<dyn FnOnce(bool) + Send>;

/// How the handles reach the main loop. The stop has a line of its own, so that no number of waiting flushes can
/// keep it out; there is one guard, so one place is enough.
pub(crate) struct Lines {
    commands: mpsc::Sender<Command>,
    stop: mpsc::Sender<Stop>,
}

struct Inlets {
    commands: mpsc::Receiver<Command>,
    stop: mpsc::Receiver<Stop>,
}

impl Lines {
    fn new() -> (Self, Inlets) {
        let (commands, commands_in) = mpsc::channel(MAX_COMMANDS);
        let (stop, stop_in) = mpsc::channel(1);
        (Self { commands, stop }, Inlets { commands: commands_in, stop: stop_in })
    }

    /// False when too many wait already, or the main loop has ended.
    pub(crate) fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// False when it stops already, or has ended.
    pub(crate) fn send_stop(&self, stop: Stop) -> bool {
        self.stop.try_send(stop).is_ok()
    }

    /// Whether the main loop has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.stop.is_closed()
    }
}

/// Starts the agent's thread and returns when the tree is up. `make` builds what the actors share.
pub(crate) fn start(
    threads: Arc<AgentThreads>,
    core: Arc<CaptureCore>,
    errors: Option<Arc<ErrorCore>>,
    finishing_threads: usize,
    make: impl FnOnce() -> Parts + Send + 'static,
) -> Result<Lines, StartError> {
    let (lines, inlets) = Lines::new();
    let (ready, is_ready) = sync_channel(1);
    let main = move || {
        enter(&threads);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run(&threads, errors.as_deref(), finishing_threads, make, inlets, &ready)
        }));
        core.shut(Shut::NotRunning);
        close(errors.as_deref());
        threads.leave();
        if let Err(payload) = ended {
            // Its drop could panic again, on a thread that must end quietly.
            std::mem::forget(payload);
            tracing::error!(target: "flame_on", "FlameOn stops: its main thread panicked; the service is not affected");
        }
    };
    std::thread::Builder::new().name("flame-on".into()).spawn(main).map_err(StartError::Thread)?;
    match is_ready.recv_timeout(START_LIMIT) {
        Ok(Ok(())) => Ok(lines),
        Ok(Err(error)) => Err(error),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(StartError::Timeout(START_LIMIT)),
    }
}

/// What every thread of the agent does first.
fn enter(threads: &AgentThreads) {
    current::enter_agent();
    threads.enter();
}

/// Captures no more errors. Safe to call twice.
fn close(errors: Option<&ErrorCore>) {
    if let Some(errors) = errors {
        errors.close();
    }
}

fn run(
    threads: &Arc<AgentThreads>,
    errors: Option<&ErrorCore>,
    finishing_threads: usize,
    make: impl FnOnce() -> Parts,
    inlets: Inlets,
    ready: &SyncSender<Result<(), StartError>>,
) {
    let (entering, leaving) = (threads.clone(), threads.clone());
    let built = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(finishing_threads.saturating_add(OTHER_BLOCKING_THREADS))
        .thread_keep_alive(KEEP_ALIVE)
        .thread_name("flame-on-work")
        .on_thread_start(move || enter(&entering))
        .on_thread_stop(move || leaving.leave())
        .build();
    match built {
        Ok(runtime) => {
            let parts = Arc::new(make());
            let answer = runtime.block_on(main_loop(parts.clone(), inlets, ready));
            close(errors);
            parts.settle();
            // Not a plain drop: it would wait for adapters that never come back.
            runtime.shutdown_background();
            drop(parts);
            // Last, so that nothing of the agent is left when its guard returns.
            if let Some((done, is_clean)) = answer {
                done(is_clean);
            }
        }
        // `Err`: the starting thread has given up.
        Err(error) => drop(ready.send(Err(StartError::Thread(error)))),
    }
}

/// Whom to tell that the agent has ended, and whether everything was done within the limit.
type Answer = Option<(Done, bool)>;

async fn main_loop(parts: Arc<Parts>, mut inlets: Inlets, ready: &SyncSender<Result<(), StartError>>) -> Answer {
    let mut tree = match Tree::start(parts.clone()).await {
        Ok(tree) => tree,
        Err(error) => {
            // `Err`: the starting thread has given up.
            ready.send(Err(StartError::Tree(error.into()))).ok();
            return None;
        }
    };
    tokio::spawn(pump_collector(parts.clone()));
    tokio::spawn(pump_router(parts.clone()));
    tokio::spawn(pump_errors(parts.clone()));
    if parts.has_capture {
        parts.core.open(Shut::NotRunning);
    }
    if ready.send(Ok(())).is_err() {
        // Whoever started us has given up, so nobody could ever stop us.
        shut_down(&parts, &tree, Duration::ZERO).await;
        return None;
    }
    loop {
        tokio::select! {
            biased;
            stop = inlets.stop.recv() => {
                // `None`: every handle is gone without a word.
                let limit = stop.as_ref().map_or(Duration::ZERO, |stop| stop.limit);
                let is_clean = shut_down(&parts, &tree, limit).await;
                return stop.map(|stop| (stop.done, is_clean));
            }
            () = tree.ended() => {
                lose_tree(&parts).await;
                return None;
            }
            Some(command) = inlets.commands.recv() => obey(command, &parts, &tree),
        }
    }
}

fn obey(command: Command, parts: &Arc<Parts>, _tree: &Tree) {
    match command {
        Command::Reloaded => {
            parts.traces.shipper.cast(ShipperMsg::Reloaded);
            if let Some(errors) = &parts.errors {
                errors.shipper.cast(ShipperMsg::Reloaded);
            }
            parts.slots.memory_watcher.cast(MemoryWatcherMsg::Reloaded);
        }
        Command::Flush(limit, done) => drop(tokio::spawn(flush(parts.clone(), limit, done))),
        #[cfg(feature = "testing")]
        Command::Fail(actor, done) if actor == "supervisor" => {
            _tree.kill();
            done(true);
        }
        #[cfg(feature = "testing")]
        Command::Fail(actor, done) => {
            let parts = parts.clone();
            tokio::spawn(async move { done(crate::actors::testing::fail(&parts, &actor).await) });
        }
    }
}

/// The supervisor is gone, and ractor has ended its children with it.
async fn lose_tree(parts: &Parts) {
    parts.core.shut(Shut::NotRunning);
    tracing::error!(target: "flame_on", "FlameOn stops: its supervisor ended; the service is not affected");
    parts.give_up().await;
}

/// Turns the rings of host threads into casts; outlives every instance of the Collector.
async fn pump_collector(parts: Arc<Parts>) {
    let mut pace = Pace::default();
    loop {
        parts.core.inbox.rung(&mut pace).await;
        parts.slots.collector.cast(CollectorMsg::Drain);
    }
}

async fn pump_router(parts: Arc<Parts>) {
    let mut pace = Pace::default();
    loop {
        parts.core.routes.inbox.rung(&mut pace).await;
        parts.slots.router.cast(SeqTraceRouterMsg::Drain);
    }
}

async fn pump_errors(parts: Arc<Parts>) {
    let Some(errors) = &parts.errors else { return };
    let Some(bell) = &errors.bell else { return };
    loop {
        bell.notified().await;
        errors.shipper.cast(ShipperMsg::BatchWaits);
    }
}

async fn flush(parts: Arc<Parts>, limit: Duration, done: Done) {
    let both = async {
        let finished = parts.slots.collector.call(CollectorMsg::Flush, limit).await;
        let shipped = ship_all(&parts, limit, limit).await;
        // Without a Collector there is nothing to finish.
        (finished.is_some() || !parts.has_capture) && shipped && !parts.has_unshipped()
    };
    done(timeout(limit, both).await.unwrap_or(false));
}

async fn shut_down(parts: &Parts, tree: &Tree, limit: Duration) -> bool {
    parts.core.shut(Shut::NotRunning);
    let is_clean = tree.shut_down(limit).await;
    parts.give_up().await;
    is_clean
}
