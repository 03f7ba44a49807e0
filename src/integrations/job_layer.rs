//! Reports jobs that fail, for queues that are tower services (apalis).

use std::fmt::Display;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::errors::reporter::{Reported, Reporter};
use crate::{FlameOn, Job};

impl FlameOn {
    /// A tower layer that makes each call a job: for apalis, and any other queue that is a tower service.
    ///
    /// `describe` runs for each call while errors are captured, so keep it cheap. Put the layer inside of
    /// [`FlameOn::unit_layer`], so that an error has the id of its trace.
    ///
    /// ```
    /// # let flame_on = flame_on::FlameOn::disabled();
    /// # struct Task { args: u32, attempt: u64 }
    /// use flame_on::Job;
    ///
    /// let layer = flame_on.job_layer(|task: &Task| Job::apalis("send_email").attempt(task.attempt).args(&task.args));
    /// ```
    pub fn job_layer<D>(&self, describe: D) -> JobLayer<D> {
        JobLayer { agent: self.clone(), describe }
    }
}

/// Reports the jobs of a tower service; made by [`FlameOn::job_layer`].
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to a service"]
pub struct JobLayer<D> {
    agent: FlameOn,
    describe: D,
}

impl<S, D: Clone> Layer<S> for JobLayer<D> {
    type Service = JobService<S, D>;

    fn layer(&self, inner: S) -> JobService<S, D> {
        JobService { inner, layer: self.clone() }
    }
}

impl<D> std::fmt::Debug for JobLayer<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobLayer").finish_non_exhaustive()
    }
}

/// A service whose calls are jobs; made by [`JobLayer`].
#[derive(Debug, Clone)]
pub struct JobService<S, D> {
    inner: S,
    layer: JobLayer<D>,
}

impl<S, D, R> Service<R> for JobService<S, D>
where
    S: Service<R>,
    S::Error: Display + 'static,
    D: Fn(&R) -> Job,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Reported<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let JobLayer { agent, describe } = &self.layer;
        let reporter = Reporter::new(agent, || describe(&request));
        // Inner services may work in `call` already.
        let future = reporter.inside(|| self.inner.call(request));
        Reported::new(future, reporter)
    }
}
