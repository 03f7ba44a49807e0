//! Reports jobs that fail, of any queue.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;

use crate::errors::context::{Surroundings, default_keys};
use crate::errors::report::Report;
use crate::errors::reporter::{Reported, Reporter};
use crate::model::error_event::ErrorEvent;
use crate::model::redact::json;
use crate::{EventId, FlameOn};
use serde::Serialize;

/// The route of jobs of an unnamed queue.
const JOB_ROUTE: &str = "oban.job";
/// The route of apalis's jobs.
const APALIS_ROUTE: &str = "apalis.job";
/// Bytes of arguments that are kept before they are cut to `max_string_length`.
const MAX_ARGS_BYTES: usize = 64 * 1024;

/// What an error tells about the job it happened in.
///
/// ```
/// # async fn f(flame_on: flame_on::FlameOn, args: Vec<u32>) {
/// use flame_on::Job;
///
/// let job = Job::new("shop.SendEmail").queue("mail").attempt(2).max_attempts(5).args(&args);
/// let done = flame_on.job(job).run(async { Err::<(), _>(std::io::Error::other("no mail server")) }).await;
/// # assert!(done.is_err());
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to `FlameOn::job`"]
pub struct Job {
    route: &'static str,
    contexts: BTreeMap<String, String>,
}

impl Job {
    /// A job of this worker, of any queue. The route of its errors is `oban.job`.
    pub fn new(worker: impl Into<String>) -> Self {
        Self { route: JOB_ROUTE, contexts: BTreeMap::new() }.with("worker", worker.into())
    }

    /// A job of apalis, of this worker. The route of its errors is `apalis.job`.
    pub fn apalis(worker: impl Into<String>) -> Self {
        Self { route: APALIS_ROUTE, ..Self::new(worker) }
    }

    /// Says which queue it was in.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.with("queue", queue.into())
    }

    /// Says which job it is.
    pub fn id(self, id: impl ToString) -> Self {
        self.with("job_id", id.to_string())
    }

    /// Says which try this is, from 1.
    pub fn attempt(self, attempt: u64) -> Self {
        self.with("attempt", attempt.to_string())
    }

    /// Says how often it is tried.
    pub fn max_attempts(self, attempts: u64) -> Self {
        self.with("max_attempts", attempts.to_string())
    }

    /// Shows its arguments, as compact JSON without the values of secret keys. Without this call they are not shown.
    pub fn args(self, args: &(impl Serialize + ?Sized)) -> Self {
        match json::render(args, default_keys(), MAX_ARGS_BYTES) {
            Some(args) => self.with("args", args),
            None => self,
        }
    }

    fn with(mut self, name: &str, value: String) -> Self {
        self.contexts.insert(name.to_owned(), value);
        self
    }
}

impl Surroundings for Job {
    fn describe(&self, event: &mut ErrorEvent) {
        if event.route.is_empty() {
            self.route.clone_into(&mut event.route);
        }
        for (name, value) in &self.contexts {
            event.contexts.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

impl FlameOn {
    /// A reporter for one job: what runs in it has an error context of its own, and its error or panic is captured,
    /// with `handled: false`. It traces nothing; put it inside of a [unit](FlameOn::unit) for that.
    pub fn job(&self, job: Job) -> JobReporter {
        JobReporter(Reporter::new(self, || job))
    }
}

/// Reports one job; made by [`FlameOn::job`].
#[derive(Debug)]
#[must_use = "call `run`"]
pub struct JobReporter(Reporter);

impl JobReporter {
    /// Runs the job. Its result, or its panic, goes on unchanged.
    pub fn run<T, E: Display + 'static, F: Future<Output = Result<T, E>>>(self, work: F) -> Reported<F> {
        Reported::new(work, self.0)
    }

    /// Runs a job that is no future.
    ///
    /// # Errors
    /// The job's own.
    pub fn in_scope<T, E: Display + 'static>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = self.0.inside(work);
        if let Err(error) = &result {
            self.0.failed(error);
        }
        result
    }

    /// Captures an error of the job that does not end it.
    #[track_caller]
    pub fn capture<E: Error + 'static>(&self, error: &E) -> EventId {
        let report = Report::error(error);
        self.0.inside(|| report.handled(false).capture())
    }
}
