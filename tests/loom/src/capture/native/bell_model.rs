//! Traced polls that begin while the pump goes to sleep.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::bell::Bell;

/// The pump, which has had nothing to do for so long that it sleeps. Loom finds it where nobody wakes it.
fn rest(bell: &Bell) {
    bell.rest(false, Duration::from_millis(1), &mut Duration::from_secs(3_600));
}

fn bell() -> Arc<Bell> {
    let bell = Arc::new(Bell::default());
    bell.set_thread(thread::current());
    bell
}

fn elsewhere(bell: &Arc<Bell>, what: fn(&Bell)) -> thread::JoinHandle<()> {
    let bell = bell.clone();
    thread::spawn(move || what(&bell))
}

pub(crate) fn polls() {
    let bell = bell();
    let polls = [elsewhere(&bell, Bell::polled), elsewhere(&bell, Bell::polled)];
    rest(&bell);
    polls.into_iter().for_each(|poll| poll.join().unwrap());
}

pub(crate) fn the_end() {
    let bell = bell();
    let end = elsewhere(&bell, Bell::end);
    while !bell.is_over() {
        rest(&bell);
    }
    end.join().unwrap();
}
