//! Wakers that are cloned, woken and dropped wherever it happens, while their trace ends and another one begins.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{RawWaker, RawWakerVTable, Waker};

use loom::cell::UnsafeCell;
use loom::thread;

use crate::capture::native::registers::Registers;
use crate::capture::native::waker::{Cloned, Observer, RootWaker, SiteKind, Tables, stable};
use crate::capture::wakes::{PendingBits, SiteId, Wakes};
use crate::capture::wakes_pool::WakesPool;

type SharedWakes = loom::sync::Arc<Wakes>;

/// Records wakes, and looks whether they are of the trace that the waker was made for: a site's number is its trace's label.
struct Model;

impl Observer for Model {
    fn cloned(wakes: &SharedWakes, _: &Waker, _: Registers, _: SiteKind) -> Cloned {
        Cloned::Own(site_of(wakes))
    }

    fn stable_cloned(_: &Wakes) {}

    fn wake(wakes: &Wakes, site: SiteId, _: Registers) {
        assert!(site == site_of(wakes) || site == SiteId::NONE, "recorded for another trace");
        wakes.record_without_stack(site, 1, None);
    }

    fn is_polling(_: &Wakes) -> bool {
        false
    }

    fn tables() -> &'static Tables {
        static TABLES: Tables = Tables::of::<Model>();
        &TABLES
    }
}

fn site_of(wakes: &Wakes) -> SiteId {
    SiteId(u32::try_from(wakes.label).unwrap())
}

/// A task, and all wakers of its own that were ever there: none is freed before the task is, so that a use after its end is
/// seen.
#[derive(Default)]
struct Task {
    woken: AtomicU32,
    wakers: Mutex<Vec<Arc<Own>>>,
}

/// A task's own waker, of which each node has a clone: it stands for all that a node holds.
struct Own {
    task: *const Task,
    is_dropped: AtomicBool,
    used: UnsafeCell<()>,
}

// SAFETY: loom looks at every access of the cell, and the task outlives its wakers' last use.
unsafe impl Sync for Own {}
// SAFETY: as above.
unsafe impl Send for Own {}

impl Task {
    fn waker(&self) -> Waker {
        // SAFETY: the table's functions take what `raw` gives.
        unsafe { Waker::from_raw(self.raw()) }
    }

    fn raw(&self) -> RawWaker {
        let own = Arc::new(Own { task: self, is_dropped: AtomicBool::new(false), used: UnsafeCell::new(()) });
        let data = Arc::as_ptr(&own);
        self.wakers.lock().unwrap().push(own);
        RawWaker::new(data.cast(), &OWN)
    }

    /// How many were dropped, each once.
    fn has_woken_and_is_free(&self, woken: u32) {
        assert_eq!(self.woken.load(Relaxed), woken, "each wake reaches the task");
        let wakers = self.wakers.lock().unwrap();
        assert!(wakers.iter().all(|own| own.is_dropped.load(Relaxed)), "a node was not freed");
    }
}

static OWN: RawWakerVTable = RawWakerVTable::new(
    |data| own(data).task().raw(),
    |data| {
        own(data).wake();
        own(data).end();
    },
    |data| own(data).wake(),
    |data| own(data).end(),
);

fn own<'a>(data: *const ()) -> &'a Own {
    // SAFETY: from `Task::raw`, and the task keeps all that it gave.
    unsafe { &*data.cast() }
}

impl Own {
    fn task(&self) -> &Task {
        self.used.with(|_| ());
        assert!(!self.is_dropped.load(Relaxed), "used after its end");
        // SAFETY: the task outlives its wakers' last use.
        unsafe { &*self.task }
    }

    fn wake(&self) {
        self.task().woken.fetch_add(1, Relaxed);
    }

    fn end(&self) {
        self.used.with_mut(|_| ());
        assert!(!self.is_dropped.swap(true, Relaxed), "dropped twice");
    }
}

/// A waker that a leaf of `task` has made in the poll under way.
fn leaf(task: &Task, wakes: &SharedWakes) -> Waker {
    let parent = task.waker();
    RootWaker::new(wakes, &parent, SiteKind::Leaf).with::<Model, _>(Waker::clone)
}

fn is_gone(wakes: &Wakes) -> bool {
    let (mut pending, mut gone) = (PendingBits::default(), 0);
    pending.insert(site_of(wakes));
    wakes.each_gone(&mut pending, 64, |_| gone += 1);
    gone == 1
}

/// One node, by three references and more.
fn shared(make: fn(&Task, &SharedWakes) -> Waker) {
    let task = Arc::new(Task::default());
    let wakes = SharedWakes::new(Wakes::new(1));
    let waker = make(&task, &wakes);
    let clone = waker.clone();
    let by_ref = thread::spawn(move || clone.wake_by_ref());
    let clone = waker.clone();
    let by_value = thread::spawn(move || {
        drop(clone.clone());
        clone.wake();
    });
    drop(waker);
    by_ref.join().unwrap();
    by_value.join().unwrap();
    task.has_woken_and_is_free(2);
    assert_eq!(SharedWakes::strong_count(&wakes), 1);
    assert!(is_gone(&wakes));
}

pub(crate) fn three_owners() {
    shared(leaf);
}

pub(crate) fn three_owners_of_a_stable_one() {
    shared(|task, wakes| stable::<Model>(wakes.clone(), task.waker()));
}

/// The node that the last owner gives back is another task's at once.
pub(crate) fn a_node_that_is_reused() {
    let (task, next) = (Task::default(), Task::default());
    let (task, next) = (Arc::new(task), Arc::new(next));
    let (wakes, next_wakes) = (SharedWakes::new(Wakes::new(1)), SharedWakes::new(Wakes::new(2)));
    let waker = leaf(&task, &wakes);
    let clone = waker.clone();
    let owners = [thread::spawn(move || waker.wake()), thread::spawn(move || drop(clone))];
    let waker = leaf(&next, &next_wakes);
    assert!(!is_gone(&next_wakes));
    waker.wake();
    owners.into_iter().for_each(|owner| owner.join().unwrap());
    task.has_woken_and_is_free(1);
    next.has_woken_and_is_free(1);
    assert!(is_gone(&wakes) && is_gone(&next_wakes));
}

/// A waker outlives its trace, or ends with it, and what it shares with its trace goes to the next one, or does not.
pub(crate) fn the_traces_end() {
    let task = Arc::new(Task::default());
    let pool = WakesPool::new();
    let wakes = pool.take(1);
    wakes.begin_at(1);
    let waker = leaf(&task, &wakes);
    let late = thread::spawn(move || waker.wake());
    pool.give_back(wakes);
    let next = pool.take(2);
    next.begin_at(1);
    let waker = leaf(&task, &next);
    assert!(!is_gone(&next));
    assert_eq!(next.begin_poll(2, || unreachable!()), None, "nobody has woken this one");
    late.join().unwrap();
    waker.wake();
    assert_eq!(next.begin_poll(3, || unreachable!()).map(|wake| wake.site), Some(SiteId(2)));
    assert!(is_gone(&next));
    task.has_woken_and_is_free(2);
}
