//! Frames by hand: named parts of a trace. Outside of a trace they cost a null check.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::current::{is_traced, with_current};
use super::native::stack_pointer;
use super::recorder::FrameToken;
use super::task::{Branch, NamedTask};
use crate::model::frame::{FrameId, NameTable};

/// Every frame name of the process; see [`NameTable`] for its bounds.
pub(crate) static NAMES: LazyLock<NameTable> = LazyLock::new(NameTable::default);

/// A place in the source that opens a frame; [`frame!`](crate::frame) makes one.
#[doc(hidden)]
#[derive(Debug)]
pub struct FrameSite {
    name: &'static str,
    /// The name's id plus one; 0 until the site is first reached in a trace.
    id: AtomicU32,
}

impl FrameSite {
    #[doc(hidden)]
    pub const fn new(name: &'static str) -> Self {
        Self { name, id: AtomicU32::new(0) }
    }

    #[inline]
    fn id(&self) -> FrameId {
        // Relaxed: the id is all there is to see, and every thread would find the same.
        match self.id.load(Ordering::Relaxed).checked_sub(1) {
            Some(id) => FrameId(id),
            None => self.register(),
        }
    }

    #[cold]
    fn register(&self) -> FrameId {
        let id = NAMES.intern(self.name);
        self.id.store(id.0 + 1, Ordering::Relaxed);
        id
    }
}

/// An open frame; it closes when the guard is dropped.
///
/// `!Send`, so the compiler refuses it across an await in a spawned task. Where a future need not be `Send`
/// it compiles, and is harmless: the frame ends with its poll, the late drop does nothing and, where a trace runs,
/// is counted in [`Stats::late_guards`](crate::Stats).
#[must_use = "a frame ends when its guard is dropped"]
#[derive(Debug)]
pub struct FrameGuard {
    token: Option<FrameToken>,
    _not_send: PhantomData<*const ()>,
}

impl FrameGuard {
    // Always inlined, as all that reads the stack pointer: it must be the one of the user's function.
    #[doc(hidden)]
    #[inline(always)]
    pub fn __enter(site: &'static FrameSite) -> Self {
        // What a frame costs outside of a trace is this check; all else stays out of the caller's code.
        Self::of(if is_traced() { enter_site(site, stack_pointer()) } else { None })
    }

    /// Opens a frame with this name. [`frame!`](crate::frame) is faster: it looks the name up once.
    #[inline(always)]
    pub fn enter(name: &'static str) -> Self {
        Self::of(if is_traced() { enter_name(name, stack_pointer()) } else { None })
    }

    #[inline(always)]
    fn open(id: impl FnOnce() -> FrameId) -> Self {
        let pointer = stack_pointer();
        Self::of(with_current(|recorder| recorder.enter_frame(id(), pointer)))
    }

    #[inline]
    fn of(token: Option<FrameToken>) -> Self {
        Self { token, _not_send: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn open_id(id: FrameId) -> Self {
        Self::open(|| id)
    }

    /// Whether it stands in the trace: not outside of one, and not when it was left out for want of room.
    fn is_recorded(&self) -> bool {
        self.token.is_some_and(FrameToken::is_recorded)
    }

    /// Closes the frame of a future that is pending: its path is where the task waits. The generation of the
    /// trace that was told so.
    fn leave(mut self) -> Option<u64> {
        let token = self.token.take()?;
        with_current(|recorder| recorder.leave_frame(token).then_some(recorder.shared.label)).flatten()
    }
}

impl Drop for FrameGuard {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.token {
            exit(token);
        }
    }
}

#[inline(never)]
fn enter_site(site: &FrameSite, pointer: usize) -> Option<FrameToken> {
    with_current(|recorder| recorder.enter_frame(site.id(), pointer))
}

#[inline(never)]
fn enter_name(name: &str, pointer: usize) -> Option<FrameToken> {
    with_current(|recorder| recorder.enter_frame(NAMES.intern(name), pointer))
}

#[inline(never)]
fn exit(token: FrameToken) {
    with_current(|recorder| recorder.exit_frame(token));
}

/// Runs `f` in a frame: the form that cannot be held wrongly.
///
/// ```
/// let sum = flame_on::in_frame("sum", || (1..=4).sum::<u32>());
/// assert_eq!(sum, 10);
/// ```
#[inline]
pub fn in_frame<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
    let _frame = FrameGuard::enter(name);
    f()
}

/// Puts futures into frames.
pub trait FrameExt: Future + Sized {
    /// Every poll of this future is a frame, and so is the waiting in it.
    fn in_frame(self, name: &'static str) -> InFrame<Self> {
        InFrame { future: self, name, frame: None }
    }

    /// Says of a child of `FuturesUnordered`, `buffer_unordered`, `Shared` and the like where it waits. Such a combinator
    /// gives its children a waker of its own, and a trace sees the combinator wait instead of the child.
    ///
    /// Has an effect inside of a trace with native capture; elsewhere the future is polled as it is.
    ///
    /// ```
    /// use flame_on::FrameExt as _;
    /// use futures::stream::FuturesUnordered;
    /// # async fn fetch(_: u32) {}
    /// let fetches: FuturesUnordered<_> = (0..3).map(|shop| fetch(shop).branch()).collect();
    /// ```
    fn branch(self) -> Branch<Self> {
        Branch::new(self)
    }

    /// Names the task that this future is the whole of. A trace that is woken from inside of it shows its waiting as
    /// `CALL name`. Names count against the limits of all frame names: 65,536 of them, 4 MiB.
    ///
    /// Without a name, and with native capture, it is the outermost function of the task.
    fn task_named(self, name: &str) -> NamedTask<Self> {
        NamedTask::new(self, name)
    }
}

impl<F: Future> FrameExt for F {}

pin_project! {
    /// What [`FrameExt::in_frame`] returns. `Send` and `'static` whenever the future is.
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Debug)]
    pub struct InFrame<F> {
        // Before `frame`: the future is dropped first.
        #[pin]
        future: F,
        name: &'static str,
        // `None` until it is first polled in a trace.
        frame: Option<Waits>,
    }
}

impl<F: Future> Future for InFrame<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let guard = FrameGuard::open(|| this.frame.get_or_insert_with(|| Waits::new(NAMES.intern(this.name))).id);
        let polled = this.future.poll(cx);
        match this.frame {
            Some(frame) => frame.exit(guard, polled.is_pending()),
            None => drop(guard),
        }
        polled
    }
}

/// The frame of something that is polled, and the trace in which it waits.
#[derive(Debug)]
pub(crate) struct Waits {
    /// The generation of the recorder that was told that this is pending; means nothing unless `is_pending`,
    /// whose niche keeps a [`Scope`](crate::Scope) at 16 bytes.
    label: u64,
    id: FrameId,
    is_pending: bool,
}

impl Waits {
    pub(crate) fn new(id: FrameId) -> Self {
        Self { label: 0, id, is_pending: false }
    }

    #[inline(always)]
    pub(crate) fn enter(&self) -> FrameGuard {
        FrameGuard::open_id(self.id)
    }

    /// A poll whose frame was left out keeps what an earlier, recorded one said, until the future is ready.
    pub(crate) fn exit(&mut self, guard: FrameGuard, is_pending: bool) {
        if guard.is_recorded() {
            // Entering it again has ended the wait for the trace, too.
            self.is_pending = false;
        }
        if is_pending {
            if let Some(label) = guard.leave() {
                (self.label, self.is_pending) = (label, true);
            }
        } else {
            drop(guard);
            if self.is_pending {
                self.abandon();
            }
        }
    }

    /// Tells the trace that this does not wait any more. Apart from `drop`, so that dropping a scope stays short
    /// enough to be inlined.
    #[cold]
    #[inline(never)]
    fn abandon(&mut self) {
        self.is_pending = false;
        with_current(|recorder| {
            if recorder.shared.label == self.label {
                recorder.abandon_frame(self.id);
            }
        });
    }
}

impl Drop for Waits {
    #[inline]
    fn drop(&mut self) {
        if self.is_pending {
            self.abandon();
        }
    }
}
