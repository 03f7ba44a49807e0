//! What an agent has for native capture: shared by its recorders, its pump and its sessions.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::unwind;
use crate::capture::wakes::Wakes;
use crate::model::stack::StackWord;

/// Kept for reuse: as many traces as end within a few milliseconds; 1 KiB each.
const POOLED_WAKES: usize = 256;

/// See the module.
#[derive(Debug)]
pub(crate) struct NativeCapture {
    wakes: ArrayQueue<Arc<Wakes>>,
}

impl NativeCapture {
    /// Reads the process's modules, which takes the loader's lock.
    pub(crate) fn start() -> Arc<Self> {
        unwind::refresh_modules();
        Arc::new(Self { wakes: ArrayQueue::new(POOLED_WAKES) })
    }

    /// The samples of the trace `label`, as (raw time, frames from the innermost on).
    pub(crate) fn take_samples(&self, _label: u64) -> Vec<(u64, Box<[StackWord]>)> {
        Vec::new()
    }

    /// What wakers of the trace `label` share.
    pub(crate) fn take_wakes(&self, label: u64) -> Arc<Wakes> {
        let mut pooled = self.wakes.pop();
        match pooled.as_mut().and_then(Arc::get_mut) {
            Some(wakes) => wakes.reuse(label),
            None => pooled = None,
        }
        pooled.unwrap_or_else(|| Arc::new(Wakes::new(label)))
    }

    /// Takes them back, unless a waker is left that outlives its trace.
    pub(crate) fn give_back_wakes(&self, mut wakes: Arc<Wakes>) {
        if Arc::get_mut(&mut wakes).is_some() {
            // A full pool hands it back, and it is freed here.
            drop(self.wakes.push(wakes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::wakes::SiteId;

    #[test]
    fn what_a_late_waker_still_holds_is_not_given_to_another_trace() {
        let capture = NativeCapture::start();
        let (late, done) = (capture.take_wakes(1), capture.take_wakes(2));
        let waker = late.clone();
        done.hold(SiteId(3));
        let address = Arc::as_ptr(&done);
        capture.give_back_wakes(late);
        capture.give_back_wakes(done);
        let next = capture.take_wakes(3);
        assert_eq!((Arc::as_ptr(&next), next.label, waker.label), (address, 3, 1));
        assert_ne!(Arc::as_ptr(&capture.take_wakes(4)), Arc::as_ptr(&waker));
    }
}
