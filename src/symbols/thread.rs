//! The one thread that reads symbols.
//!
//! ```text
//! asleep ──job──► running ──line empty──► idle ──10 s──► what was parsed is given up ──50 s──► nothing is kept but what
//!                    ▲──────────────────────job───────────────────────────────────────────────┘   traces still ask for
//! ```
//!
//! A [`Symbolizer`] is not shared: whoever needs symbols sends a job and lets it answer in its own way. The thread is
//! started by the first job and then waits for more until its [`SymbolThread`] is dropped.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::known::KnownChains;
use super::symbolizer::{SymbolSettings, Symbolizer};

/// Jobs that wait at most. Each has a deadline that counts from when it was sent (see `naming`), so a long line moves on.
const MOST_JOBS: usize = 1_024;
const NAME: &str = "flame-on-symbols";

/// What the thread does for somebody else. It keeps to a deadline of its own and sends its answer itself.
pub(crate) type SymbolJob = Box<dyn FnOnce(&mut Symbolizer) + Send>;

/// How long the thread is without a job until it gives up memory.
#[derive(Debug, Clone, Copy)]
struct Idle {
    /// Until what was parsed is given up.
    release: Duration,
    /// From then on until the names that were found go as well.
    forget: Duration,
}

const IDLE: Idle = Idle { release: Duration::from_secs(10), forget: Duration::from_secs(50) };

/// The thread, and the line of jobs before it. When dropped, jobs that wait are dropped with it; the one in hand ends
/// by its own deadline, and nobody waits for it.
pub(crate) struct SymbolThread(Arc<Shared>);

struct Shared {
    line: Mutex<Line>,
    changed: Condvar,
    settings: SymbolSettings,
    known: Arc<KnownChains>,
    idle: Idle,
    bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
}

struct Line {
    jobs: VecDeque<SymbolJob>,
    state: State,
}

/// `Asleep` → `Started` with the first job that gets a thread → `Stopped` when the owner is dropped; `Asleep` →
/// `Stopped` without any job.
enum State {
    /// No thread yet; it is to call this first.
    Asleep(Box<dyn FnOnce() + Send>),
    Started,
    Stopped,
}

impl SymbolThread {
    /// No thread is started yet. When it is, it calls `on_start` first.
    pub(crate) fn new(settings: SymbolSettings, on_start: impl FnOnce() + Send + 'static) -> Self {
        Self::with_idle(settings, IDLE, Box::new(on_start))
    }

    fn with_idle(settings: SymbolSettings, idle: Idle, on_start: Box<dyn FnOnce() + Send>) -> Self {
        let known = Arc::new(KnownChains::within(&settings));
        Self(Arc::new(Shared {
            known,
            line: Mutex::new(Line { jobs: VecDeque::new(), state: State::Asleep(on_start) }),
            changed: Condvar::new(),
            settings,
            idle,
            bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
        }))
    }

    /// Has `job` done after those that came before it.
    ///
    /// # Errors
    /// The job, when too many wait already, or the system gives no thread.
    pub(crate) fn run(&self, job: SymbolJob) -> Result<(), SymbolJob> {
        let mut line = self.0.line();
        if line.jobs.len() >= MOST_JOBS || !self.is_started(&mut line) {
            return Err(job);
        }
        line.jobs.push_back(job);
        self.0.changed.notify_one();
        Ok(())
    }

    /// What needs no job.
    pub(crate) fn known(&self) -> &KnownChains {
        &self.0.known
    }

    /// What the symboliser held when it was last looked at: after each job, and when it gave something up.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// The most that it ever held, within a job as well.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }

    fn is_started(&self, line: &mut Line) -> bool {
        if matches!(line.state, State::Asleep(_)) && self.start() {
            let State::Asleep(on_start) = std::mem::replace(&mut line.state, State::Started) else { return false };
            // The thread waits for the line, which is locked here; so this is its first job.
            line.jobs.push_front(Box::new(|_| on_start()));
        }
        matches!(line.state, State::Started)
    }

    fn start(&self) -> bool {
        let shared = self.0.clone();
        std::thread::Builder::new().name(NAME.into()).spawn(move || shared.work()).is_ok()
    }
}

impl Drop for SymbolThread {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.state = State::Stopped;
        let jobs = std::mem::take(&mut line.jobs);
        drop(line);
        self.0.changed.notify_one();
        // With the line unlocked: what a job holds may do anything as it goes.
        drop(jobs);
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut symbolizer = self.symbolizer();
        while let Some(job) = self.next(&mut symbolizer) {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(&mut symbolizer))) {
                // Its drop could panic again.
                std::mem::forget(payload);
                // It may have been left in the middle of anything.
                symbolizer = self.symbolizer();
            }
            self.look(&symbolizer);
        }
    }

    fn symbolizer(&self) -> Symbolizer {
        Symbolizer::new(self.settings.clone(), self.known.clone())
    }

    /// The next job; `None` when there will be no more.
    fn next(&self, symbolizer: &mut Symbolizer) -> Option<SymbolJob> {
        if let Some(next) = self.wait(Some(self.idle.release)) {
            return next;
        }
        symbolizer.release_idle();
        self.look(symbolizer);
        // From here on until nobody asks for what is known any more: traces may go on without a job for this thread.
        self.known.take_is_used();
        loop {
            if let Some(next) = self.wait(Some(self.idle.forget)) {
                return next;
            }
            *symbolizer = self.symbolizer();
            let is_used = self.known.take_is_used();
            if !is_used {
                self.known.clear();
            }
            self.look(symbolizer);
            if !is_used {
                return self.wait(None).flatten();
            }
        }
    }

    /// The next job, or that there will be no more; `None` after `limit`.
    fn wait(&self, limit: Option<Duration>) -> Option<Option<SymbolJob>> {
        let is_idle = |line: &mut Line| line.jobs.is_empty() && !matches!(line.state, State::Stopped);
        let line = self.line();
        let mut line = match limit {
            Some(limit) => {
                self.changed.wait_timeout_while(line, limit, is_idle).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(line, is_idle).unwrap_or_else(PoisonError::into_inner),
        };
        match line.jobs.pop_front() {
            None if is_idle(&mut line) => None,
            job => Some(job),
        }
    }

    fn look(&self, symbolizer: &Symbolizer) {
        self.bytes.store(symbolizer.bytes(), Ordering::Relaxed);
        self.peak_bytes.fetch_max(symbolizer.peak_bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;
    use crate::model::native::{ModuleMap, StackKind};
    use crate::model::stack::{Place, StackWord};
    use crate::model::stack_table::StackTable;

    /// Only reached when something is broken.
    const LIMIT: Duration = Duration::from_secs(60);

    fn settings() -> SymbolSettings {
        SymbolSettings { max_bytes: 64 << 20, debug_file: None }
    }

    fn thread() -> SymbolThread {
        SymbolThread::new(settings(), || {})
    }

    fn job(f: impl FnOnce(&mut Symbolizer) + Send + 'static) -> SymbolJob {
        Box::new(f)
    }

    /// A job that says when it begins and ends when its sender is dropped.
    fn blocker(thread: &SymbolThread) -> Sender<()> {
        let (begun, is_begun) = channel();
        let (release, released) = channel::<()>();
        let wait = move |_: &mut Symbolizer| {
            begun.send(()).unwrap();
            released.recv().unwrap_err();
        };
        thread.run(job(wait)).ok().unwrap();
        is_begun.recv_timeout(LIMIT).unwrap();
        release
    }

    fn ask<T: Send + 'static>(
        thread: &SymbolThread,
        f: impl FnOnce(&mut Symbolizer) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (answer, answered) = channel();
        thread.run(job(move |symbolizer| answer.send(f(symbolizer)).unwrap())).ok().unwrap();
        answered
    }

    fn wait_until(what: impl Fn() -> bool) {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < LIMIT, "it did not come to pass");
            std::thread::yield_now();
        }
    }

    #[test]
    fn jobs_run_in_order_on_one_named_thread_that_is_prepared_first() {
        let (seen, order) = channel();
        let prepared = seen.clone();
        let thread = SymbolThread::new(settings(), move || prepared.send((0, None)).unwrap());
        assert!(order.try_recv().is_err(), "started without a job");
        for number in 1..=3 {
            let seen = seen.clone();
            let tell = move |_: &mut Symbolizer| {
                let name = std::thread::current().name().map(str::to_owned);
                seen.send((number, name)).unwrap();
            };
            thread.run(job(tell)).ok().unwrap();
        }
        let order = (0..4).map(|_| order.recv_timeout(LIMIT).unwrap()).collect::<Vec<_>>();
        assert_eq!(order.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(order[1..].iter().all(|(_, name)| name.as_deref() == Some(NAME)), "{order:?}");
    }

    #[test]
    fn a_job_too_many_comes_back() {
        let thread = thread();
        let release = blocker(&thread);
        for _ in 0..MOST_JOBS {
            thread.run(job(|_| {})).ok().unwrap();
        }
        let (kept, gone) = channel::<()>();
        let refused = thread.run(job(move |_| drop(kept)));
        assert!(refused.is_err());
        assert!(gone.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty));
        drop(release);
        wait_until(|| thread.run(job(|_| {})).is_ok());
    }

    #[test]
    fn a_panic_ends_neither_the_thread_nor_its_preparation() {
        let thread = SymbolThread::new(settings(), || panic!("as it starts"));
        thread.run(job(|_| panic!("in a job"))).ok().unwrap();
        let name = ask(&thread, |_| std::thread::current().id()).recv_timeout(LIMIT).unwrap();
        thread.run(job(|_| std::panic::panic_any(PanicsAgain))).ok().unwrap();
        assert_eq!(ask(&thread, |_| std::thread::current().id()).recv_timeout(LIMIT).unwrap(), name);
    }

    struct PanicsAgain;

    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("as its payload is dropped");
        }
    }

    #[test]
    fn dropping_it_ends_the_thread_and_waits_for_no_job() {
        let (ended, is_ended) = channel::<()>();
        let thread = SymbolThread::new(settings(), move || END.set(Some(ended)));
        let release = blocker(&thread);
        let never = ask(&thread, |_| ());
        // The job in hand is not over, so this would not come back if it waited.
        drop(thread);
        assert_eq!(never.recv_timeout(LIMIT).unwrap_err(), std::sync::mpsc::RecvTimeoutError::Disconnected);
        assert!(is_ended.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty));
        drop(release);
        assert_eq!(is_ended.recv_timeout(LIMIT).unwrap_err(), std::sync::mpsc::RecvTimeoutError::Disconnected);
    }

    thread_local! {
        /// Dropped with its thread.
        static END: std::cell::Cell<Option<Sender<()>>> = const { std::cell::Cell::new(None) };
    }

    #[test]
    fn an_idle_thread_gives_up_what_was_parsed_then_everything_and_works_again() {
        let short = Duration::from_millis(20);
        let idle = Idle { release: short, forget: short };
        let thread = SymbolThread::with_idle(settings(), idle, Box::new(|| {}));
        for round in 0..2 {
            let here = the_test_program();
            let frames = ask(&thread, move |symbolizer| {
                symbolizer.frames(&here, marked_function as *const () as u64, Instant::now() + LIMIT)
            });
            let frames = frames.recv_timeout(LIMIT).unwrap();
            assert!(frames.first().unwrap().name.ends_with("marked_function"), "{round}: {frames:?}");
            wait_until(|| thread.peak_bytes() > 0 && thread.bytes() == 0);
            assert!(thread.peak_bytes() > 1_000);
        }
    }

    #[test]
    fn what_traces_use_stays_known_while_the_thread_has_no_job_and_goes_when_they_do_not() {
        let idle = Idle { release: Duration::from_millis(5), forget: Duration::from_secs(2) };
        let thread = SymbolThread::with_idle(settings(), idle, Box::new(|| {}));
        let mut table = StackTable::default();
        let stack = [StackWord::native(marked_function as *const () as u64, Place(1))];
        table.stack(&stack, false).unwrap();
        let map = the_test_program();
        let look = {
            let map = map.clone();
            ask(&thread, move |symbolizer| {
                symbolizer.chain(&map, &stack, StackKind::Await, Instant::now() + LIMIT).symbols().len()
            })
        };
        assert!(look.recv_timeout(LIMIT).unwrap() > 0);
        // Until all else has been forgotten.
        wait_until(|| {
            assert!(thread.known().all(&map, &table).is_some());
            thread.bytes() == thread.known().bytes()
        });
        wait_until(|| thread.bytes() == 0);
        assert!(thread.known().all(&map, &table).is_none());
    }

    #[inline(never)]
    fn marked_function() -> u64 {
        std::hint::black_box(4)
    }

    fn the_test_program() -> ModuleMap {
        marked_function();
        super::super::testing::program(|_| {})
    }
}
