//! After a fork without exec the child is off. A binary of its own, with one test: the mark is the whole process's.
#![cfg(all(unix, feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;
use std::sync::{Mutex, OnceLock};

use flame_on::__fork::{fork_and_check, is_off, watch};
use flame_on::testing::TestAgent;
use flame_on::{FlameOn, Scope};

/// Held by another thread while the test forks, so that nobody in a child can ever take it.
static HELD: Mutex<()> = Mutex::new(());

#[test]
fn a_child_is_off_from_the_first_call_on_and_its_parent_is_not() {
    assert!(!is_off());
    assert!(!fork_and_check(is_off).unwrap(), "no agent was ever started: nobody watches");

    watch().unwrap();
    watch().unwrap();
    assert!(!is_off(), "watching alone changes nothing");

    with_a_lock_held_elsewhere(|| {
        assert!(fork_and_check(is_off).unwrap());
        assert!(fork_and_check(a_million_calls_say_off).unwrap());
        assert!(fork_and_check(|| HELD.try_lock().is_err()).unwrap(), "the child has inherited a lock it cannot get");
    });

    assert!(fork_and_check(a_grandchild_is_off).unwrap());
    assert!(fork_and_check(|| watch().is_ok() && is_off()).unwrap(), "watching again does not turn it on");
    assert!(!is_off(), "the parent goes on");

    assert!(Command::new("true").status().unwrap().success(), "fork and exec work as ever");
    assert!(!is_off());

    assert!(fork_and_check(|| std::process::abort()).is_err(), "a child that dies is not taken for an answer");

    let agent = TestAgent::start().unwrap();
    AGENT.set(agent.handle()).unwrap();
    *RUNNING.lock().unwrap() = Some(agent.unit("shop.batch", || "started before the fork"));
    assert!(fork_and_check(a_child_neither_traces_nor_waits).unwrap());
    drop(RUNNING.lock().unwrap().take());
    assert!(agent.unit("shop.batch", || "after it").is_sampled(), "the parent's agent goes on");
}

static AGENT: OnceLock<FlameOn> = OnceLock::new();
static RUNNING: Mutex<Option<Scope>> = Mutex::new(None);

fn a_child_neither_traces_nor_waits() -> bool {
    let Some(agent) = AGENT.get() else { return false };
    let is_traced = agent.unit("shop.batch", || "in the child").is_sampled();
    // Begun by the parent; its end must not touch what the agent's threads may have held.
    drop(RUNNING.try_lock().map(|mut scope| scope.take()));
    let report = agent.flush_blocking(std::time::Duration::from_secs(60));
    !is_traced && report.shipped == 0
}

/// A million calls within the child's alarm: none of them waits.
fn a_million_calls_say_off() -> bool {
    (0..1_000_000).all(|_| is_off())
}

fn a_grandchild_is_off() -> bool {
    fork_and_check(is_off).unwrap_or(false)
}

fn with_a_lock_held_elsewhere(test: impl FnOnce()) {
    let (locked, is_locked) = std::sync::mpsc::channel();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _guard = HELD.lock().unwrap();
            locked.send(()).unwrap();
            // Ends when the other end is dropped, also by a failed assertion.
            is_done.recv().unwrap_or_default();
        });
        is_locked.recv().unwrap();
        test();
        drop(done);
    });
}
