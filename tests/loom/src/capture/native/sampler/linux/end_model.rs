//! A thread that arms and stops its timer, and the last agent's end.

use loom::thread;

use super::slot::Slot;
use super::timer::world;
use super::{force, last, pool};

/// A slot whose thread has armed and stopped before: then all that follows replaces what was written in one order for all
/// (loom has no such order for a value that something was made with).
fn slot(drops_sent: bool) -> &'static Slot {
    world::set_drops_sent(drops_sent);
    force::adjust(1, 1);
    force::begin(1, libc::SIGPROF);
    let slot = pool::take(1).unwrap();
    slot.prepare(force::present().unwrap()).unwrap();
    slot.arm(0);
    slot.stop(0);
    assert!(!slot.is_armed());
    slot
}

/// As the handler does, in a poll.
fn let_a_tick_arrive(slot: &Slot) {
    if world::arriving().is_some_and(|cookie| slot.is_in(cookie)) && slot.begin_tick() {
        slot.arm(0);
        slot.end_tick();
    }
}

/// The last agent, which waits for `patience` looks.
fn agent(patience: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut looks = 0;
        let mut is_late = || {
            looks += 1;
            thread::yield_now();
            looks > patience
        };
        if last::leave(&mut is_late) {
            world::remove_handler();
        }
    })
}

pub(crate) fn arming() {
    let slot = slot(false);
    let agent = agent(usize::MAX);
    slot.arm(0);
    agent.join().unwrap();
    assert!(!world::has_handler(), "nothing may come, and nobody was in a hurry");
    world::is_quiet_without_handler();
    slot.arm(0);
    world::is_quiet_without_handler();
}

pub(crate) fn stopping() {
    let slot = slot(true);
    slot.arm(0);
    let agent = agent(usize::MAX);
    slot.stop(0);
    agent.join().unwrap();
    assert!(!world::has_handler(), "nothing may come, and nobody was in a hurry");
    world::is_quiet_without_handler();
}

fn ticks(drops_sent: bool) {
    let slot = slot(drops_sent);
    let agent = agent(1);
    let time = thread::spawn(world::fire);
    slot.arm(0);
    let_a_tick_arrive(slot);
    time.join().unwrap();
    let_a_tick_arrive(slot);
    agent.join().unwrap();
    world::is_quiet_without_handler();
}

pub(crate) fn a_tick() {
    ticks(false);
}

pub(crate) fn a_tick_that_setting_drops() {
    ticks(true);
}

/// The signal is blocked, say; the thread ends, and who drains has given it up.
pub(crate) fn a_tick_that_was_given_up() {
    let slot = slot(false);
    slot.arm(0);
    world::fire();
    let agent = agent(1);
    let drain = thread::spawn(|| slot.gives_up(u64::MAX));
    pool::release(slot);
    let is_given_up = drain.join().unwrap();
    agent.join().unwrap();
    world::is_quiet_without_handler();
    assert!(!slot.is_armed(), "{is_given_up}");
}

pub(crate) fn a_thread_that_ends() {
    let slot = slot(false);
    slot.arm(0);
    let agent = agent(usize::MAX);
    let time = thread::spawn(world::fire);
    pool::release(slot);
    let_a_tick_arrive(slot);
    time.join().unwrap();
    agent.join().unwrap();
    world::is_quiet_without_handler();
}
