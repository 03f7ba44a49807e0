//! A recorder that writes and signals, and the session that is told and reads.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::capture::queue::Queue;
use crate::capture::signal::Signal;

struct Trace {
    signal: Signal,
    inbox: Queue<()>,
    written: [AtomicU32; 2],
}

impl Trace {
    fn write(&self, event: usize) {
        self.written[event].store(1, Ordering::Relaxed);
        self.signal.give(|| self.inbox.push(()).is_ok());
    }

    /// All that was signalled: how much of it was read at last.
    fn read(&self) -> Option<u32> {
        let is_told = self.inbox.drain().next().is_some();
        is_told.then(|| {
            self.signal.acknowledge();
            self.written.iter().map(|event| event.load(Ordering::Relaxed)).sum()
        })
    }
}

pub(crate) fn two_events_and_two_looks() {
    let trace = Arc::new(Trace {
        signal: Signal::new(),
        inbox: Queue::new(2),
        written: std::array::from_fn(|_| AtomicU32::new(0)),
    });
    let session = trace.clone();
    let session = thread::spawn(move || session.read());
    trace.write(0);
    trace.write(1);
    let before = session.join().unwrap();
    assert_eq!(trace.read().or(before), Some(2), "what was written last was not told");
}
