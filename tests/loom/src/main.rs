//! Runs the crate's own source in every order of its atomic operations that the memory model allows (with at most five
//! preemptions, which finds nearly all mistakes): `cargo run --manifest-path tests/loom/Cargo.toml`.
//!
//! What is not here, and why:
//!
//! - What a thread shares with the handler that interrupts it alone (`running.rs`, `rest.rs`, a deadline that is stored before
//!   its timer is set): the order of one thread's program keeps it, and loom interrupts nobody. Ticks arrive between two
//!   calls here.
//! - The chain of handlers (`chain.rs`): a link is written before the kernel knows of its entry, which orders the two.
//! - What other crates answer for: `crossbeam_queue`, `dashmap`, `tokio`. A queue of ours orders less than theirs.
//! - What holds a lock (`fresh.rs`, `permits.rs`, `samples.rs`, `drain.rs`), belongs to a thread (`dice.rs`, `current.rs`), or is
//!   one word that stands for itself: counters, bounds, the phase and the end of a trace, a call's time of reply.
//! - Memory without atomics is looked at through cells beside it: for each slot, chunk, node and place in a ring one, which is
//!   read and written where the memory is.
//! - Loom knows sequential consistency as one order for each word, and treats the rest as acquiring and releasing. Where two
//!   words are written and read crosswise it finds each access that is weakened; of the pump's two, which are changed and not
//!   only written, it finds both.
#![allow(dead_code, reason = "the crate uses more of it than the models do")]

mod array_queue;
mod capture;
mod model;
mod models;
mod rings_memory;
mod safety;
mod shipping;
mod turn;

use capture::native::bell_model as bell;
use capture::native::sampler::linux::{end_model as end, limit_model as limit, pool_model as pool, ring_model as ring};
use models::{chunks, inbox, open, signal, ticket, waker, wakes};

const MODELS: &[(&str, fn())] = &[
    (
        "two wakes and two polls: records are whole, and of the first wake since the poll",
        wakes::two_wakes_and_two_polls,
    ),
    ("a wake while a poll begins: given once, and the place comes free", wakes::a_wake_while_a_poll_begins),
    ("a waker dropped on another thread: its site is gone once", wakes::a_waker_dropped_elsewhere),
    ("a waker with three owners: each wake is forwarded, and it is freed once", waker::three_owners),
    ("a stable waker with three owners: the same", waker::three_owners_of_a_stable_one),
    ("a node that goes to another task: it wakes that one, and nobody is left in it", waker::a_node_that_is_reused),
    ("a wake after the trace's end: forwarded, and not told to the next trace", waker::the_traces_end),
    ("two threads ring while it is drained: what is left has a wake", inbox::two_rings_and_a_drain),
    ("one that looks goes to sleep while two ring: what is left has a wake", inbox::a_last_look),
    ("two push while it is closed: nothing stays in it", inbox::the_end),
    ("a session reads what is being written: all of it, in its order", chunks::writes_and_reads),
    ("two owners of a chunk leave it: it is given back once, and nobody is at it", chunks::two_owners_and_the_next_one),
    ("a session is told and reads while more is written: of that it is told as well", signal::two_events_and_two_looks),
    ("a trace is closed while a route to it is made: none is left", open::a_route_and_the_end),
    (
        "an adapter's call ends while its caller leaves: it counts as stuck until it is over",
        ticket::a_call_and_two_callers,
    ),
    ("traced polls while the pump goes to sleep: it is woken", bell::polls),
    ("the agent's end while the pump goes to sleep: it is woken", bell::the_end),
    ("two threads take slots: each its own", pool::two_threads),
    ("two threads and one slot: at most one has it", pool::two_threads_and_one_slot),
    ("a handler writes what the agent reads: whole, in its order, each once", ring::writes_and_reads),
    ("three handlers and room for one sample: one takes it", limit::the_last_sample),
    ("arming and the last agent's end: nothing is armed after it", end::arming),
    ("stopping and the last agent's end: the timer is not touched after it", end::stopping),
    ("a tick and the last agent's end: nothing comes after the handler is gone", end::a_tick),
    ("the same where setting a timer drops its signal", end::a_tick_that_setting_drops),
    ("a tick that was given up, a thread's end and the last agent's: nothing comes", end::a_tick_that_was_given_up),
    ("a thread's end and the last agent's: the timer is deleted once, and nothing comes", end::a_thread_that_ends),
];

/// With an argument: those models that have it in their sentence.
fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    for (what, model) in MODELS.iter().filter(|(what, _)| what.contains(&only)) {
        run(what, *model);
    }
}

fn run(what: &str, model: fn()) {
    let began = std::time::Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(5);
    builder.check(move || {
        rings_memory::begin();
        model();
    });
    println!("ok: {what} ({:.1} s)", began.elapsed().as_secs_f64());
}
