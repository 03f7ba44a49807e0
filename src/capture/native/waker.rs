//! The waker that a traced poll gives to its future.
//!
//! ```text
//! root     on the poll's own stack; its clone runs inside the leaf that is about to wait: an await site
//!   └──clone──► node     one for each clone, counted by references; a wake records and forwards. Past a bound: stable
//! stable   a node that is given to many polls instead of a root; its clones are itself
//! ```
//! A node's address is never the root's, so a leaf that kept a node sees another waker at each poll and registers
//! again. Every wake reaches the task's own waker; only recording is ever left out. Nothing here locks, and clones made
//! under a runtime's own locks are safe: what runs is the unwinder and, for a node that the pool does not have, the
//! allocator.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::LazyLock;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::registers::Registers;
use crate::capture::wakes::{SiteId, Wakes};
use crate::safety::atomic::{Arc, ArrayQueue, AtomicUsize, Ordering, statics};

/// Nodes kept for reuse in the process: 1,024 × 56 bytes.
const POOLED_NODES: usize = 1_024;

/// What a traced poll notes of its wakers. Called in host threads, under whatever locks their code holds.
pub(crate) trait Observer {
    /// A waker of `wakes`, whose task's own is `parent`, is cloned inside the poll of `wakes`, or elsewhere: what the clone
    /// is.
    fn cloned(wakes: &Arc<Wakes>, parent: &Waker, registers: Registers, kind: SiteKind) -> Cloned;
    /// A [`stable`] waker of `wakes` is cloned: by a leaf that has none of it yet, if their poll runs on this thread.
    fn stable_cloned(wakes: &Wakes);
    /// A waker of `wakes`, made at `site`, is woken.
    fn wake(wakes: &Wakes, site: SiteId, registers: Registers);
    /// Whether the poll of `wakes` runs on this thread.
    fn is_polling(wakes: &Wakes) -> bool;
    /// [`Tables::of`] this, in a `static`: wakers are told apart by the table's address, too, and a constant has one in
    /// every unit that the compiler makes of a crate.
    fn tables() -> &'static Tables;
}

/// How long a site is waited at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SiteKind {
    /// Until the next poll, in which the leaf registers again.
    Leaf,
    /// Until its last waker is gone: the leaf is polled only when it was woken.
    Branch,
}

/// What a clone is to be.
#[derive(Debug)]
pub(crate) enum Cloned {
    /// One of its own, made at this site, or [`SiteId::NONE`].
    Own(SiteId),
    /// A [`stable`] one, which the polls that follow are given as well, so that the leaf need not register again in them:
    /// its await site was refused.
    Stable(Waker),
}

/// The waker of one poll; it lives on the poll's stack.
pub(crate) struct RootWaker<'a> {
    wakes: &'a Arc<Wakes>,
    parent: &'a Waker,
    kind: SiteKind,
}

/// What is behind a clone.
struct Node {
    references: AtomicUsize,
    site: SiteId,
    /// `None` only while it waits for reuse.
    content: Option<Content>,
}

struct Content {
    wakes: Arc<Wakes>,
    parent: Waker,
    kind: SiteKind,
    /// A clone is another reference, wherever it is made.
    is_stable: bool,
}

statics! {
    /// Nodes that wait for reuse, without content.
    static POOL: LazyLock<ArrayQueue<Box<Node>>> = LazyLock::new(|| ArrayQueue::new(POOLED_NODES));
}

impl<'a> RootWaker<'a> {
    pub(crate) fn new(wakes: &'a Arc<Wakes>, parent: &'a Waker, kind: SiteKind) -> Self {
        Self { wakes, parent, kind }
    }

    /// Runs `poll` with this waker.
    pub(crate) fn with<O: Observer, R>(&self, poll: impl FnOnce(&Waker) -> R) -> R {
        let data = std::ptr::from_ref(self).cast();
        // SAFETY: the table's functions expect a pointer to a `RootWaker`, which this is; it outlives the waker, which
        // ends with this function and is only lent to `poll`. `Waker` is `Send + Sync`, and so is all that is behind
        // the pointer: an `Arc` of atomics and a `Waker`. A clone holds no pointer to it.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data, &O::tables().root)) });
        poll(&waker)
    }
}

/// A waker for many polls of one task: whoever keeps a clone of it need not register again. Nothing is captured; wakes
/// are recorded without a site.
pub(crate) fn stable<O: Observer>(wakes: Arc<Wakes>, parent: Waker) -> Waker {
    let content = Content { wakes, parent, kind: SiteKind::Leaf, is_stable: true };
    // SAFETY: what `node` gives keeps the promises of `RawWaker`, see there.
    unsafe { Waker::from_raw(node::<O>(SiteId::NONE, content)) }
}

/// The functions behind the wakers of one observer.
#[derive(Debug)]
pub(crate) struct Tables {
    root: RawWakerVTable,
    node: RawWakerVTable,
}

impl Tables {
    /// Those for `O`.
    pub(crate) const fn of<O: Observer>() -> Self {
        Self {
            root: RawWakerVTable::new(root_clone::<O>, root_wake_by_ref::<O>, root_wake_by_ref::<O>, root_drop),
            node: RawWakerVTable::new(node_clone::<O>, node_wake::<O>, node_wake_by_ref::<O>, node_drop),
        }
    }
}

/// # Safety
/// `data` is a live `RootWaker`.
#[inline(never)]
unsafe fn root_clone<O: Observer>(data: *const ()) -> RawWaker {
    let registers = Registers::here();
    // SAFETY: the caller's promise, kept by `RootWaker::with`.
    let root = unsafe { &*data.cast::<RootWaker<'_>>() };
    new_node::<O>(root.wakes, root.parent, root.kind, registers)
}

/// # Safety
/// `data` is a live `RootWaker`.
#[inline(never)]
unsafe fn root_wake_by_ref<O: Observer>(data: *const ()) {
    let registers = Registers::here();
    // SAFETY: the caller's promise, kept by `RootWaker::with`.
    let root = unsafe { &*data.cast::<RootWaker<'_>>() };
    O::wake(root.wakes, SiteId::NONE, registers);
    root.parent.wake_by_ref();
}

/// The root owns nothing.
unsafe fn root_drop(_data: *const ()) {}

fn new_node<O: Observer>(wakes: &Arc<Wakes>, parent: &Waker, kind: SiteKind, registers: Registers) -> RawWaker {
    match O::cloned(wakes, parent, registers, kind) {
        Cloned::Stable(waker) => {
            // The reference that it owns goes to the clone.
            let waker = ManuallyDrop::new(waker);
            RawWaker::new(waker.data(), waker.vtable())
        }
        Cloned::Own(site) => {
            wakes.hold(site);
            node::<O>(site, Content { wakes: wakes.clone(), parent: parent.clone(), kind, is_stable: false })
        }
    }
}

/// A waker that owns its node by one reference; the table's functions count the others. All that is behind it is `Send`
/// and `Sync`: atomics, and a `Waker`.
fn node<O: Observer>(site: SiteId, content: Content) -> RawWaker {
    let content = Some(content);
    let node = match POOL.pop() {
        Some(mut node) => {
            *node = Node { references: AtomicUsize::new(1), site, content };
            node
        }
        None => Box::new(Node { references: AtomicUsize::new(1), site, content }),
    };
    RawWaker::new(Box::into_raw(node).cast_const().cast(), &O::tables().node)
}

/// # Safety
/// `data` came from `node`, and the caller owns one of its references.
unsafe fn node_of<'a>(data: *const ()) -> &'a Node {
    // SAFETY: a node is freed or reused only after its last reference is given up, and the caller has one.
    unsafe { &*data.cast() }
}

/// # Safety
/// As for `node_of`.
#[inline(never)]
unsafe fn node_clone<O: Observer>(data: *const ()) -> RawWaker {
    let registers = Registers::here();
    // SAFETY: the caller's promise.
    let node = unsafe { node_of(data) };
    match &node.content {
        Some(content) if content.is_stable => O::stable_cloned(&content.wakes),
        // Cloned again inside a poll of its trace, by a combinator that keeps a waker of its own: a nearer await site.
        Some(content) if O::is_polling(&content.wakes) => {
            return new_node::<O>(&content.wakes, &content.parent, content.kind, registers);
        }
        _ => {}
    }
    // Relaxed: the new reference is made from an existing one, which keeps the node alive. It cannot overflow: each
    // reference takes two words of memory somewhere, unless it is leaked, and `Arc`s of wakers have the same limit.
    node.references.fetch_add(1, Ordering::Relaxed);
    RawWaker::new(data, &O::tables().node)
}

/// # Safety
/// As for `node_of`; the reference is given up.
#[inline(never)]
unsafe fn node_wake<O: Observer>(data: *const ()) {
    let registers = Registers::here();
    // SAFETY: the caller's promise. The reference is given up after its last use.
    unsafe {
        forward::<O>(node_of(data), registers);
        node_drop(data);
    }
}

/// # Safety
/// As for `node_of`.
#[inline(never)]
unsafe fn node_wake_by_ref<O: Observer>(data: *const ()) {
    let registers = Registers::here();
    // SAFETY: the caller's promise.
    forward::<O>(unsafe { node_of(data) }, registers);
}

fn forward<O: Observer>(node: &Node, registers: Registers) {
    if let Some(content) = &node.content {
        // Recorded before it is forwarded: the poll that it causes then finds it.
        O::wake(&content.wakes, node.site, registers);
        content.parent.wake_by_ref();
    }
}

/// # Safety
/// As for `node_of`; the reference is given up.
unsafe fn node_drop(data: *const ()) {
    // SAFETY: the caller's promise.
    let node = unsafe { node_of(data) };
    // Release: what this owner did happens before the node is reused.
    if node.references.fetch_sub(1, Ordering::Release) != 1 {
        return;
    }
    // Acquire: pairs with the Release of every other owner. Not a fence, which ThreadSanitizer does not know.
    node.references.load(Ordering::Acquire);
    let Some(node) = NonNull::new(data.cast_mut().cast::<Node>()) else { return };
    // SAFETY: it came from `Box::into_raw` in `node`, and this was the last reference.
    let mut node = unsafe { Box::from_raw(node.as_ptr()) };
    if let Some(content) = node.content.take() {
        content.wakes.release(node.site);
    }
    // A full pool hands it back, and it is freed here.
    drop(POOL.push(node));
}

#[cfg(test)]
mod tests;
