//! Names for tasks that others wait for, children that say where they wait, and whose a waker is.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::frame::NAMES;
use crate::model::frame::FrameId;

thread_local! {
    /// The name of the task that is polled on this thread, plus one; 0 outside of a named one.
    static NAME: Cell<u32> = const { Cell::new(0) };
}

/// The name of the task that runs on this thread.
#[cfg(native_capture)]
pub(crate) fn current_name() -> Option<FrameId> {
    NAME.try_with(Cell::get).ok()?.checked_sub(1).map(FrameId)
}

/// Whether `kept`, a clone, wakes what `parent` does. A clone may have another table than the waker it was made of, where
/// the compiler made two of a constant one (`Waker::noop`, `Arc<impl Wake>`); then it is as another clone is.
pub(crate) fn is_of_one_task(kept: &Waker, parent: &Waker) -> bool {
    kept.will_wake(parent) || kept.data() == parent.data() && kept.will_wake(&parent.clone())
}

pin_project! {
    /// What [`FrameExt::task_named`](crate::FrameExt::task_named) returns. `Send` and `'static` whenever the future is.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct NamedTask<F> {
        #[pin]
        future: F,
        name: FrameId,
    }
}

impl<F> NamedTask<F> {
    pub(crate) fn new(future: F, name: &str) -> Self {
        Self { future, name: NAMES.intern(name) }
    }
}

impl<F: Future> Future for NamedTask<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _name = Named::set(*this.name);
        this.future.poll(cx)
    }
}

/// A name in force; its drop puts the one before it back.
struct Named(u32);

impl Named {
    fn set(name: FrameId) -> Self {
        Self(NAME.try_with(|current| current.replace(name.0.wrapping_add(1))).unwrap_or(0))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // `Err` while the thread is torn down, when nothing is polled any more.
        NAME.try_with(|current| current.set(self.0)).ok();
    }
}

pin_project! {
    /// What [`FrameExt::branch`](crate::FrameExt::branch) returns. `Send` and `'static` whenever the future is.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct Branch<F> {
        #[pin]
        future: F,
    }
}

impl<F> Branch<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for Branch<F> {
    type Output = F::Output;

    #[cfg(native_capture)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().future;
        super::native::poll::run_branch(cx, |cx| future.poll(cx))
    }

    #[cfg(not(native_capture))]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

#[cfg(all(test, native_capture))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::capture::frame::FrameExt;

    #[test]
    fn a_name_holds_for_the_polls_of_its_task_and_the_outer_one_comes_back() {
        let names = || (current_name(), NAMES.intern("outer"), NAMES.intern("inner"));
        let inner = std::pin::pin!(async { names() });
        let outer = async {
            let (before, outer, _) = names();
            assert_eq!(before, Some(outer));
            let (inside, _, inner) = inner.task_named("inner").await;
            assert_eq!(inside, Some(inner));
            assert_eq!(current_name(), Some(outer));
        };
        let outer = std::pin::pin!(outer.task_named("outer"));
        assert!(outer.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(current_name(), None);
    }
}
