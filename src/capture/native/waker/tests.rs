#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::task::Wake;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::capture::task::is_of_one_task;

thread_local! {
    /// The label of the poll that "runs" on this thread.
    static POLLING: Cell<u64> = const { Cell::new(0) };
    static NEXT_SITE: Cell<u32> = const { Cell::new(0) };
    static STABLE_CLONES: Cell<u32> = const { Cell::new(0) };
    /// For every third leaf, if there is one.
    static PAST_BOUND: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Numbers sites by thread, and records without a stack.
struct Numbering;

impl Observer for Numbering {
    fn cloned(wakes: &Arc<Wakes>, _: &Waker, _: Registers, kind: SiteKind) -> Cloned {
        if !Self::is_polling(wakes) {
            return Cloned::Own(SiteId::NONE);
        }
        let site = NEXT_SITE.with(|next| SiteId(next.replace(next.get() + 1)));
        let is_refused = site.0 % 3 == 2 && kind == SiteKind::Leaf;
        match PAST_BOUND.with_borrow(Clone::clone).filter(|_| is_refused) {
            Some(stable) => Cloned::Stable(stable),
            None => Cloned::Own(site),
        }
    }

    fn stable_cloned(wakes: &Wakes) {
        if Self::is_polling(wakes) {
            STABLE_CLONES.set(STABLE_CLONES.get() + 1);
        }
    }

    fn wake(wakes: &Wakes, site: SiteId, _: Registers) {
        wakes.record(site, 1, None, |_| 0);
    }

    fn is_polling(wakes: &Wakes) -> bool {
        POLLING.with(|polling| polling.get() == wakes.label)
    }

    fn tables() -> &'static Tables {
        static TABLES: Tables = Tables::of::<Numbering>();
        &TABLES
    }
}

/// A task's own waker that counts.
#[derive(Default)]
struct Task(AtomicU64);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<R>(wakes: &Arc<Wakes>, parent: &Waker, poll: impl FnOnce(&Waker) -> R) -> R {
    let outer = POLLING.replace(wakes.label);
    let result = RootWaker::new(wakes, parent, SiteKind::Leaf).with::<Numbering, _>(poll);
    POLLING.set(outer);
    result
}

struct Rig {
    task: Arc<Task>,
    parent: Waker,
    wakes: Arc<Wakes>,
}

fn rig(label: u64) -> Rig {
    NEXT_SITE.set(0);
    let task = Arc::<Task>::default();
    Rig { parent: task.clone().into(), task, wakes: Arc::new(Wakes::new(label)) }
}

fn woken(task: &Task) -> u64 {
    task.0.load(Ordering::SeqCst)
}

#[test]
fn a_clone_is_another_waker_than_any_poll_s_own() {
    let Rig { parent, wakes, .. } = rig(1);
    let kept = poll(&wakes, &parent, Waker::clone);
    poll(&wakes, &parent, |waker| assert!(!waker.will_wake(&kept)));
    assert!(kept.will_wake(&kept.clone()), "outside of a poll a clone is the same waker");
    poll(&wakes, &parent, |_| assert!(!kept.will_wake(&kept.clone()), "inside it is a site of its own"));
}

#[test]
fn a_leaf_past_the_bound_has_the_waker_of_the_polls_to_come() {
    let Rig { task, parent, wakes } = rig(8);
    let stable = stable::<Numbering>(wakes.clone(), parent.clone());
    PAST_BOUND.set(Some(stable.clone()));
    let kept: Vec<Waker> = (0..3).map(|_| poll(&wakes, &parent, Waker::clone)).collect();
    assert_eq!(kept.iter().map(|waker| waker.will_wake(&stable)).collect::<Vec<_>>(), [false, false, true]);
    // Those of this observer itself.
    STABLE_CLONES.take();
    poll(&wakes, &parent, |_| assert!(kept[2].will_wake(&kept[2].clone()), "inside of a poll, too"));
    assert_eq!(STABLE_CLONES.take(), 1);
    kept.into_iter().for_each(Waker::wake);
    assert_eq!(woken(&task), 3);
    PAST_BOUND.set(None);
    drop((stable, parent));
    assert_eq!((Arc::strong_count(&wakes), Arc::strong_count(&task)), (1, 1));
}

#[test]
fn every_wake_reaches_the_task_and_the_first_is_recorded_with_its_site() {
    let Rig { task, parent, wakes } = rig(2);
    let mut stack = [crate::model::stack::StackWord(0); crate::capture::wakes::WAKE_FRAMES];
    wakes.begin_poll(1, || &mut stack);
    let (first, second) = poll(&wakes, &parent, |waker| (waker.clone(), waker.clone()));
    second.wake_by_ref();
    first.wake();
    second.wake();
    assert_eq!(woken(&task), 3);
    assert_eq!(wakes.begin_poll(2, || &mut stack).map(|wake| wake.site), Some(SiteId(1)));
    poll(&wakes, &parent, Waker::wake_by_ref);
    assert_eq!(woken(&task), 4, "the poll's own waker forwards as well");
}

#[test]
fn a_site_is_pending_until_its_last_waker_is_dropped() {
    let Rig { parent, wakes, .. } = rig(3);
    let mut pending = crate::capture::wakes::PendingBits::default();
    let kept = poll(&wakes, &parent, Waker::clone);
    pending.insert(SiteId(0));
    let other = kept.clone();
    drop(kept);
    wakes.each_gone(&mut pending, 1, |site| panic!("{site:?} is held"));
    drop(other);
    let mut gone = Vec::new();
    wakes.each_gone(&mut pending, 1, |site| gone.push(site));
    assert_eq!(gone, [SiteId(0)]);
}

#[test]
fn wakers_outlive_task_and_trace_and_nothing_leaks() {
    let Rig { task, parent, wakes } = rig(4);
    let kept = poll(&wakes, &parent, Waker::clone);
    let (of_task, of_trace) = (Arc::downgrade(&task), Arc::downgrade(&wakes));
    drop((task, parent, wakes));
    kept.wake_by_ref();
    std::thread::spawn(move || kept.wake()).join().unwrap();
    assert_eq!((of_task.strong_count(), of_trace.strong_count()), (0, 0));
}

#[test]
fn nested_traces_both_see_the_wake() {
    let (outer, inner) = (rig(5), rig(6));
    let kept = poll(&outer.wakes, &outer.parent, |waker| poll(&inner.wakes, waker, Waker::clone));
    kept.wake();
    assert_eq!(woken(&outer.task), 1);
    assert_eq!(Arc::strong_count(&outer.wakes), 1);
    assert_eq!(Arc::strong_count(&inner.wakes), 1);
}

/// What all threads of the stress test share.
struct Shared {
    kept: [Mutex<Option<Waker>>; 16],
    sent: AtomicU64,
    is_over: AtomicBool,
    polls: AtomicU32,
}

/// Random clones, drops, wakes and replacements over threads, also long after their poll: the task is woken exactly as
/// often as its wakers were, and no node outlives its wakers.
#[test]
fn random_interleavings_lose_no_wake_and_leak_no_node() {
    interleave(if cfg!(miri) { 200 } else { 20_000 });
}

#[test]
#[ignore = "a million steps, some ten seconds"]
fn a_million_random_interleavings_lose_no_wake_and_leak_no_node() {
    interleave(250_000);
}

fn interleave(steps: u64) {
    const THREADS: u64 = 4;
    let Rig { task, parent, wakes } = rig(7);
    let shared = Shared {
        kept: Default::default(),
        sent: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        polls: AtomicU32::new(0),
    };
    std::thread::scope(|scope| {
        let wakers: Vec<_> = (0..THREADS)
            .map(|seed| {
                let shared = &shared;
                scope.spawn(move || {
                    let mut random = SmallRng::seed_from_u64(seed);
                    (0..steps).for_each(|_| step(shared, &mut random));
                })
            })
            .collect();
        scope.spawn(|| poll_until_over(&shared, &wakes, &parent));
        for waker in wakers {
            waker.join().unwrap();
        }
        shared.is_over.store(true, Ordering::SeqCst);
    });
    assert!(shared.polls.load(Ordering::SeqCst) > 0);
    assert_eq!(woken(&task), shared.sent.load(Ordering::SeqCst));
    drop(shared);
    assert_eq!(Arc::strong_count(&wakes), 1);
    drop(parent);
    assert_eq!(Arc::strong_count(&task), 1);
}

fn step(shared: &Shared, random: &mut SmallRng) {
    let place = &shared.kept[random.random_range(0..shared.kept.len())];
    let taken = place.lock().unwrap().take();
    let Some(waker) = taken else { return std::thread::yield_now() };
    let count = |wakes: u64| shared.sent.fetch_add(wakes, Ordering::SeqCst);
    match random.random_range(0..6) {
        0 => {
            count(1);
            waker.wake();
        }
        1 => {
            count(2);
            waker.wake_by_ref();
            waker.wake_by_ref();
            *place.lock().unwrap() = Some(waker);
        }
        2 => {
            let other = waker.clone();
            count(1);
            other.wake();
            *place.lock().unwrap() = Some(waker);
        }
        3 => *shared.kept[random.random_range(0..shared.kept.len())].lock().unwrap() = Some(waker),
        4 => *place.lock().unwrap() = Some(waker.clone()),
        _ => drop(waker),
    }
}

fn poll_until_over(shared: &Shared, wakes: &Arc<Wakes>, parent: &Waker) {
    let mut stack = [crate::model::stack::StackWord(0); crate::capture::wakes::WAKE_FRAMES];
    PAST_BOUND.set(Some(stable::<Numbering>(wakes.clone(), parent.clone())));
    let mut number = 0;
    while !shared.is_over.load(Ordering::SeqCst) || number == 0 {
        number += 1;
        wakes.begin_poll(number, || &mut stack);
        poll(wakes, parent, |waker| {
            for place in &shared.kept {
                place.lock().unwrap().get_or_insert_with(|| waker.clone());
            }
        });
        shared.polls.fetch_add(1, Ordering::SeqCst);
    }
    PAST_BOUND.set(None);
}

#[test]
fn a_clone_with_another_table_is_of_the_same_task() {
    fn other_table(data: *const ()) -> RawWaker {
        static OF_CLONES: RawWakerVTable = RawWakerVTable::new(other_table, drop, drop, drop);
        RawWaker::new(data, &OF_CLONES)
    }
    static OF_THE_FIRST: RawWakerVTable = RawWakerVTable::new(other_table, drop, drop, drop);
    let tasks = [0_u8; 2];
    // SAFETY: the tables' functions do nothing with the data.
    let of = |task: &u8| unsafe { Waker::new(std::ptr::from_ref(task).cast(), &OF_THE_FIRST) };
    let (one, other) = (of(&tasks[0]), of(&tasks[1]));
    let kept = one.clone();
    assert!(!kept.will_wake(&one) && is_of_one_task(&kept, &one));
    assert!(!is_of_one_task(&kept, &other));
}
