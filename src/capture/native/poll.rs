//! One poll of traced work with native capture: the waker that it gets, and where its stack begins.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::registers::Registers;
use super::sampler::Entered;
use super::stack_pointer;
use super::ticks;
use super::unwind::{self, Cut};
use super::waker::{Cloned, Observer, RootWaker, SiteKind, Tables};
use crate::capture::current;
use crate::capture::recorder::{PollWaker, Recorder};
use crate::capture::task;
use crate::capture::wakes::{SiteId, Wakes};

/// Polls with this thread's recorder in force.
pub(crate) fn run<R>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    // What `at_base` calls lies below, and its own frame ends here.
    let base = stack_pointer();
    let begin = |recorder: &mut Recorder| (recorder.begin_native_poll(base), recorder.poll_waker(cx.waker()));
    let (entered, waker) = current::with_current(begin).unwrap_or_default();
    let _sampling = Sampling(entered);
    match waker {
        None => poll(cx),
        Some(PollWaker::Stable(waker)) => at_base(&mut Context::from_waker(&waker), poll),
        Some(PollWaker::Capturing(wakes)) => {
            let root = RootWaker::new(&wakes, cx.waker(), SiteKind::Leaf);
            root.with::<Host, _>(|waker| at_base(&mut Context::from_waker(waker), poll))
        }
    }
}

/// As `run`, of work in which nothing waits.
pub(crate) fn run_call<R>(call: impl FnOnce() -> R) -> R {
    let base = stack_pointer();
    let _sampling = Sampling(current::with_current(|recorder| recorder.begin_native_poll(base)).flatten());
    call_at_base(call)
}

/// A poll that is sampled, until it ends or panics: then its recorder is told of the samples.
struct Sampling(Option<Entered>);

impl Drop for Sampling {
    #[inline]
    fn drop(&mut self) {
        if let Some(count @ 1..) = self.0.take().map(Entered::leave) {
            current::with_current(|recorder| recorder.note_samples(count));
        }
    }
}

/// Polls a child of a combinator that gives its children a waker of its own: `cx` with that waker.
pub(crate) fn run_branch<R>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    let Some(wakes) = current::with_current(|recorder| recorder.wakes()).flatten() else { return poll(cx) };
    let root = RootWaker::new(&wakes, cx.waker(), SiteKind::Branch);
    root.with::<Host, _>(|waker| poll(&mut Context::from_waker(waker)))
}

/// Never inlined: the poll's own code must not share the frame that the base is in.
#[inline(never)]
fn at_base<R>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
    poll(cx)
}

/// As `at_base`.
#[inline(never)]
fn call_at_base<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// What wakers tell: to the recorder of the thread that runs the poll, or, for a wake, to what the poll's wakers share.
pub(crate) struct Host;

impl Observer for Host {
    fn cloned(wakes: &Arc<Wakes>, parent: &Waker, registers: Registers, kind: SiteKind) -> Cloned {
        let cloned = current::with_current(|recorder| {
            // Another trace's poll may run inside of this one's.
            (recorder.generation.get() == wakes.label).then(|| recorder.waker_cloned(wakes, parent, registers, kind))
        });
        cloned.flatten().unwrap_or(Cloned::Own(SiteId::NONE))
    }

    fn stable_cloned(wakes: &Wakes) {
        // The recorder's own clones find it at work, and are none of a leaf.
        current::with_current(|recorder| {
            if recorder.generation.get() == wakes.label {
                recorder.stable_waker_cloned();
            }
        });
    }

    fn wake(wakes: &Wakes, site: SiteId, registers: Registers) {
        // A task that wakes itself waits for nobody.
        if Self::is_polling(wakes) {
            return wakes.record_without_stack(site, ticks::now(), task::current_name());
        }
        wakes.record(site, ticks::now(), task::current_name(), |words| {
            unwind::callers_in_place(registers, Cut::ThreadEnd, words)
        });
    }

    fn is_polling(wakes: &Wakes) -> bool {
        current::with_current(|recorder| recorder.generation.get() == wakes.label).unwrap_or(false)
    }

    fn tables() -> &'static Tables {
        static TABLES: Tables = Tables::of::<Host>();
        &TABLES
    }
}
