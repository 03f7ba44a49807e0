//! Runs the crate's own source in every order of its atomic operations that the memory model allows (with at most three
//! preemptions, which finds nearly all mistakes): `cargo run --manifest-path tests/loom/Cargo.toml`.
#![allow(dead_code, reason = "the crate uses more of it than the models do")]

mod capture;
mod model;

use std::sync::Arc;

use capture::rings::Rings;
use capture::wakes::{PendingBits, SiteId, WAKE_FRAMES, Wake, Wakes};
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;
use model::frame::FrameId;
use model::stack::StackWord;

fn main() {
    run("two wakes and two polls: records are whole, and of the first wake since the poll", two_wakes_and_two_polls);
    run("a wake while a poll begins: given once, and the place comes free", a_wake_while_a_poll_begins);
    run("a waker dropped on another thread: its site is gone once", a_waker_dropped_elsewhere);
    run("two threads ring while it is drained: what is left has a wake", two_rings_and_a_drain);
    run("one that looks goes to sleep while two ring: what is left has a wake", a_last_look);
}

fn run(what: &str, model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
    println!("ok: {what}");
}

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

fn two_wakes_and_two_polls() {
    let wakes = Arc::new(Wakes::new(1));
    begin(&wakes, 1);
    let polls = polls(&wakes);
    let waker = wakes.clone();
    let other = thread::spawn(move || wake(&waker, 6));
    wake(&wakes, 5);
    other.join().unwrap();
    is_given_once_and_leaves_room(&wakes, polls.join().unwrap());
}

fn a_wake_while_a_poll_begins() {
    let wakes = Arc::new(Wakes::new(1));
    begin(&wakes, 1);
    let polls = polls(&wakes);
    wake(&wakes, 5);
    is_given_once_and_leaves_room(&wakes, polls.join().unwrap());
}

fn a_waker_dropped_elsewhere() {
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

/// An inbox: how many items wait, and whether its reader is woken.
struct Inbox {
    rings: Rings,
    items: AtomicU32,
    is_woken: AtomicBool,
}

impl Inbox {
    fn new() -> Arc<Self> {
        Arc::new(Self { rings: Rings::new(), items: AtomicU32::new(0), is_woken: AtomicBool::new(false) })
    }

    fn wake_if(&self, wakes: bool) {
        if wakes {
            self.is_woken.store(true, Ordering::SeqCst);
        }
    }

    fn push(&self, is_in_hurry: bool) {
        self.items.fetch_add(1, Ordering::Release);
        self.wake_if(self.rings.ring());
        if is_in_hurry {
            self.wake_if(self.rings.hurry());
        }
    }

    fn push_elsewhere(self: &Arc<Self>, is_in_hurry: bool) -> thread::JoinHandle<()> {
        let inbox = self.clone();
        thread::spawn(move || inbox.push(is_in_hurry))
    }

    fn drain(&self) -> u32 {
        self.rings.begin_drain();
        self.items.swap(0, Ordering::Acquire)
    }

    /// Nothing runs any more but the reader, which sleeps: every item of `pushed` is or will be read.
    fn reads_the_rest(&self, mut read: u32, pushed: u32) {
        while self.is_woken.swap(false, Ordering::SeqCst) {
            read += self.drain();
        }
        assert_eq!(read, pushed, "the rest waits without a wake");
        // And the next one wakes again.
        self.push(false);
        assert!(self.is_woken.load(Ordering::SeqCst));
    }
}

fn two_rings_and_a_drain() {
    let inbox = Inbox::new();
    let pushes = [inbox.push_elsewhere(false), inbox.push_elsewhere(true)];
    let mut read = 0;
    if inbox.is_woken.swap(false, Ordering::SeqCst) {
        read += inbox.drain();
    }
    // As `flush`, which has not been woken.
    read += inbox.drain();
    pushes.into_iter().for_each(|push| push.join().unwrap());
    inbox.reads_the_rest(read, 2);
}

fn a_last_look() {
    let inbox = Inbox::new();
    inbox.rings.start_looking();
    let pushes = [inbox.push_elsewhere(false), inbox.push_elsewhere(false)];
    let mut read = 0;
    if inbox.rings.is_rung() {
        read += inbox.drain();
    }
    inbox.wake_if(inbox.rings.stop_looking());
    pushes.into_iter().for_each(|push| push.join().unwrap());
    inbox.reads_the_rest(read, 2);
}
