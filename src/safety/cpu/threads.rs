//! The agent's threads that are alive.

use std::sync::{Mutex, PoisonError};

use super::{ThreadNumber, current_thread};
use crate::safety::system::SystemRoot;

/// Which threads' CPU time is watched: each enters as it starts and leaves as it ends.
#[derive(Debug, Default)]
pub(crate) struct AgentThreads(Mutex<Vec<ThreadNumber>>);

impl AgentThreads {
    /// The kernel's numbers of the threads.
    pub(crate) fn list(&self) -> Vec<ThreadNumber> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Watches the calling thread.
    pub(crate) fn enter(&self) {
        if let Some(thread) = this_thread() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
    }

    /// Forgets the calling thread.
    pub(crate) fn leave(&self) {
        if let Some(thread) = this_thread() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != thread);
        }
    }
}

/// `None` where the system does not tell: then CPU time is not watched.
fn this_thread() -> Option<ThreadNumber> {
    current_thread(&SystemRoot::host().ok()?).ok()
}
