//! From the rings to the agents.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::RawSample;
use super::counters::COUNTERS;
use super::force;
use super::install;
use super::pool;
use super::record;
use crate::capture::native::ticks;

/// 1 MiB for each agent that does not fetch its samples while another one does.
const MAX_QUEUED: usize = (1 << 20) / size_of::<u64>();
const SECOND: u64 = 1_000_000_000;

/// Whoever holds it is the only consumer of all rings.
static QUEUES: Mutex<Vec<Queue>> = Mutex::new(Vec::new());
/// Nobody looks at the handler before this time.
static NEXT_LOOK: AtomicU64 = AtomicU64::new(0);
static IS_REPLACED: AtomicBool = AtomicBool::new(false);

/// Records of one agent that another one has found in a ring.
struct Queue {
    agent: u64,
    words: Vec<u64>,
}

fn queues() -> MutexGuard<'static, Vec<Queue>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There is a new agent.
pub(super) fn open(agent: u64) {
    queues().push(Queue { agent, words: Vec::new() });
}

/// The agent has gone, and what it has not fetched goes with it: the next one's threads find room in their rings.
pub(super) fn close(agent: u64) {
    let mut queues = queues();
    queues.retain(|queue| queue.agent != agent);
    empty_rings(agent, &mut queues, &mut |_| ());
}

/// Hands `agent` its samples: those of each thread in their order, and all that were taken before the call.
pub(super) fn drain(agent: u64, each: &mut dyn FnMut(RawSample<'_>)) {
    let mut queues = queues();
    let queued = queues.iter_mut().find(|queue| queue.agent == agent);
    let queued = queued.map_or_else(Vec::new, |queue| std::mem::take(&mut queue.words));
    each_record(&queued, each);
    empty_rings(agent, &mut queues, each);
    look_after();
}

/// Takes out all records: `agent`'s for `each`, the others' for their queues. `queues` are the locked ones.
fn empty_rings(agent: u64, queues: &mut [Queue], each: &mut dyn FnMut(RawSample<'_>)) {
    for slot in pool::slots() {
        // SAFETY: the lock makes this the only consumer.
        unsafe {
            slot.ring.read(|record| match record::read(record) {
                Some((owner, sample)) if owner == agent => each(sample),
                Some((owner, _)) => queue_for(queues, owner, record),
                None => {}
            });
        }
    }
}

fn each_record(mut queued: &[u64], each: &mut dyn FnMut(RawSample<'_>)) {
    while let Some((record, rest)) = queued.first().and_then(|first| queued.split_at_checked(record::length(*first))) {
        if let Some((_, sample)) = record::read(record) {
            each(sample);
        }
        queued = rest;
    }
}

fn queue_for(queues: &mut [Queue], owner: u64, record: &[u64]) {
    let queue = queues.iter_mut().find(|queue| queue.agent == owner);
    match queue.filter(|queue| queue.words.len() + record.len() <= MAX_QUEUED) {
        Some(queue) => queue.words.extend_from_slice(record),
        None => COUNTERS.queue_full.add(),
    }
}

/// What host threads are spared: finding out that ticks do not arrive.
fn look_after() {
    let now = ticks::monotonic_nanos();
    for _ in pool::slots().filter(|slot| slot.is_owned() && slot.gives_up(now)) {
        COUNTERS.lost_ticks.add();
    }
    if NEXT_LOOK.load(Relaxed) <= now {
        NEXT_LOOK.store(now.saturating_add(SECOND), Relaxed);
        look_at_the_handler();
    }
}

fn look_at_the_handler() {
    let is_replaced = force::present().is_some_and(|force| !install::is_in_place(force.signal()));
    IS_REPLACED.store(is_replaced, Relaxed);
}

/// As of the last look.
pub(super) fn is_handler_replaced() -> bool {
    IS_REPLACED.load(Relaxed)
}
