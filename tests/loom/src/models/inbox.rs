//! What host threads tell the agent, while it drains, looks and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::capture::queue::Queue;

/// An inbox, and whether its reader is woken.
struct Inbox {
    queue: Queue<Item>,
    is_woken: AtomicBool,
    dropped: Arc<AtomicU32>,
}

struct Item(Arc<AtomicU32>);

impl Drop for Item {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Inbox {
    fn new() -> Arc<Self> {
        Arc::new(Self { queue: Queue::new(4), is_woken: AtomicBool::new(false), dropped: Arc::default() })
    }

    fn wake_if(&self, wakes: bool) {
        if wakes {
            self.is_woken.store(true, Ordering::SeqCst);
        }
    }

    /// False when it is closed.
    fn push(&self, is_in_hurry: bool) -> bool {
        let Ok(wakes) = self.queue.push(Item(self.dropped.clone())) else { return false };
        self.wake_if(wakes);
        if is_in_hurry {
            self.wake_if(self.queue.rings().hurry());
        }
        true
    }

    fn push_elsewhere(self: &Arc<Self>, is_in_hurry: bool) -> thread::JoinHandle<bool> {
        let inbox = self.clone();
        thread::spawn(move || inbox.push(is_in_hurry))
    }

    fn drain(&self) -> usize {
        self.queue.drain().count()
    }

    /// Nothing runs any more but the reader, which sleeps: every item of `pushed` is or will be read.
    fn reads_the_rest(&self, mut read: usize, pushed: usize) {
        while self.is_woken.swap(false, Ordering::SeqCst) {
            read += self.drain();
        }
        assert_eq!(read, pushed, "the rest waits without a wake");
        // And the next one wakes again.
        self.push(false);
        assert!(self.is_woken.load(Ordering::SeqCst));
    }
}

pub(crate) fn two_rings_and_a_drain() {
    let inbox = Inbox::new();
    let pushes = [inbox.push_elsewhere(false), inbox.push_elsewhere(true)];
    let mut read = 0;
    if inbox.is_woken.swap(false, Ordering::SeqCst) {
        read += inbox.drain();
    }
    // As `flush`, which has not been woken.
    read += inbox.drain();
    pushes.into_iter().for_each(|push| assert!(push.join().unwrap()));
    inbox.reads_the_rest(read, 2);
}

pub(crate) fn a_last_look() {
    let inbox = Inbox::new();
    inbox.queue.rings().start_looking();
    let pushes = [inbox.push_elsewhere(false), inbox.push_elsewhere(false)];
    let mut read = 0;
    if inbox.queue.rings().is_rung() {
        read += inbox.drain();
    }
    inbox.wake_if(inbox.queue.rings().stop_looking());
    pushes.into_iter().for_each(|push| assert!(push.join().unwrap()));
    inbox.reads_the_rest(read, 2);
}

/// An item that stayed behind would hold its trace, and through it the queue, for ever.
pub(crate) fn the_end() {
    let inbox = Inbox::new();
    let pushes = [inbox.push_elsewhere(false), inbox.push_elsewhere(false)];
    let given_out = inbox.queue.close();
    pushes.into_iter().for_each(|push| assert!(matches!(push.join(), Ok(true | false))));
    drop(given_out);
    assert!(inbox.queue.is_empty() && inbox.queue.is_closed());
    assert_eq!(inbox.dropped.load(Relaxed), 2, "each once");
}
