//! The handler that writes records and the agent that reads them.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::ring::{CAPACITY, Ring};

/// Two fit; the third begins anew, once the first was read.
const LENGTH: usize = CAPACITY / 5 * 2;
const PLACES: usize = CAPACITY / LENGTH;
const RECORDS: u64 = 4;

/// A ring of which so much is known: who is at the words of each of its places.
struct Watched {
    ring: Ring,
    places: [UnsafeCell<()>; PLACES],
}

// SAFETY: loom looks at every access.
unsafe impl Sync for Watched {}
// SAFETY: as above.
unsafe impl Send for Watched {}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self { ring: Ring::leaked().unwrap(), places: std::array::from_fn(|_| UnsafeCell::new(())) })
    }

    fn push(&self, value: u64) -> bool {
        // SAFETY: the only producer. Loom has looked at the place before it is written to.
        unsafe {
            let Some(room) = self.ring.reserve(LENGTH) else { return false };
            let target = self.ring.target(&room);
            self.place_of(value).with_mut(|_| ());
            target.write(LENGTH as u64);
            target.add(LENGTH - 1).write(value);
            self.ring.commit(&room);
        }
        true
    }

    fn read(&self, next: &mut u64) {
        // SAFETY: the only consumer.
        unsafe {
            self.ring.read(|words| {
                self.place_of(*next).with(|_| ());
                assert_eq!((words.len(), words[LENGTH - 1]), (LENGTH, *next), "each once, whole and in its order");
                *next += 1;
            });
        }
    }

    fn place_of(&self, value: u64) -> &UnsafeCell<()> {
        &self.places[usize::try_from(value).unwrap() % PLACES]
    }
}

pub(crate) fn writes_and_reads() {
    let watched = Watched::new();
    let reader = watched.clone();
    let reading = thread::spawn(move || {
        let mut next = 0;
        reader.read(&mut next);
        reader.read(&mut next);
        next
    });
    let mut pushed = 0;
    for _ in 0..RECORDS {
        pushed += u64::from(watched.push(pushed));
    }
    assert!(pushed >= PLACES as u64);
    let mut next = reading.join().unwrap();
    watched.read(&mut next);
    assert_eq!(next, pushed);
    assert!(watched.push(next), "all of it is free again");
}
