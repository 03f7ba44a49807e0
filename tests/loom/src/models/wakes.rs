//! The wake that ends a sleep, and the sites that are pending.

use std::sync::Arc;

use loom::thread;

use crate::capture::wakes::{PendingBits, SiteId, WAKE_FRAMES, Wake, Wakes};
use crate::model::frame::FrameId;
use crate::model::stack::StackWord;

fn wake(wakes: &Wakes, number: u32) {
    wakes.record(SiteId(number), number.into(), Some(FrameId(number)), |words| {
        words[..2].fill(StackWord(number.into()));
        2
    });
}

fn begin(wakes: &Wakes, poll: u64) -> Option<Wake> {
    let mut stack = [StackWord(0); WAKE_FRAMES];
    let wake = wakes.begin_poll(poll, || &mut stack)?;
    let number = wake.site.0;
    assert_eq!((wake.raw, wake.task, wake.frames), (number.into(), Some(FrameId(number)), 2));
    assert!(stack[..2].iter().all(|word| word.0 == u64::from(number)), "the stack is another wake's");
    Some(wake)
}

/// Polls in a thread of their own: their results.
fn polls(wakes: &Arc<Wakes>) -> thread::JoinHandle<Vec<Wake>> {
    let wakes = wakes.clone();
    thread::spawn(move || [2, 3].into_iter().filter_map(|poll| begin(&wakes, poll)).collect())
}

fn is_given_once_and_leaves_room(wakes: &Wakes, mut given: Vec<Wake>) {
    given.extend(begin(wakes, 4));
    // A second wake finds the place taken, or a poll between the two.
    let all = given.len();
    given.dedup_by_key(|wake| wake.site);
    assert_eq!(given.len(), all, "one wake was given to two polls");
    wake(wakes, 7);
    assert_eq!(begin(wakes, 5).map(|wake| wake.site), Some(SiteId(7)), "the place is free");
}

pub(crate) fn two_wakes_and_two_polls() {
    let wakes = Arc::new(Wakes::new(1));
    begin(&wakes, 1);
    let polls = polls(&wakes);
    let waker = wakes.clone();
    let other = thread::spawn(move || wake(&waker, 6));
    wake(&wakes, 5);
    other.join().unwrap();
    is_given_once_and_leaves_room(&wakes, polls.join().unwrap());
}

pub(crate) fn a_wake_while_a_poll_begins() {
    let wakes = Arc::new(Wakes::new(1));
    begin(&wakes, 1);
    let polls = polls(&wakes);
    wake(&wakes, 5);
    is_given_once_and_leaves_room(&wakes, polls.join().unwrap());
}

pub(crate) fn a_waker_dropped_elsewhere() {
    let wakes = Arc::new(Wakes::new(1));
    let mut pending = PendingBits::default();
    for site in [SiteId(0), SiteId(1)] {
        wakes.hold(site);
        pending.insert(site);
    }
    let holder = wakes.clone();
    let thread = thread::spawn(move || {
        holder.release(SiteId(0));
        holder.hold(SiteId(2));
    });
    let mut gone = Vec::new();
    wakes.each_gone(&mut pending, 3, |site| gone.push(site.0));
    thread.join().unwrap();
    wakes.each_gone(&mut pending, 3, |site| gone.push(site.0));
    assert_eq!(gone, [0], "once, and no other");
}
