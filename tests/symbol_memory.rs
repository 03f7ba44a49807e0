//! What the symboliser holds, by its own account and by the allocator's. A binary of its own, because of the allocator.
#![cfg(all(native_capture, feature = "testing"))]
#![allow(unsafe_code, clippy::unwrap_used, clippy::print_stdout, reason = "a test; an allocator is unsafe to write")]

#[path = "common/allocator.rs"]
mod allocator;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Instant;

use allocator::Counting;
use flame_on::__symbols::Lookup;

const MIB: usize = 1 << 20;
/// `max_symbol_bytes`, as it is when nobody sets it.
const MOST: usize = 64 * MIB;
/// Another program than the test's own, for the measurement.
const PROGRAM: &str = "FLAME_ON_MEASURED_PROGRAM";

thread_local! {
    /// Bytes that this thread has allocated and not freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static MOST_LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // `Err`: the thread ends.
    let live = LIVE.try_with(|live| live.replace(live.get() + bytes) + bytes).unwrap_or(0);
    MOST_LIVE.try_with(|most| most.set(most.get().max(live))).ok();
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(count);

/// What the thread has come to hold since it was made, and the most.
struct Held(isize);

impl Held {
    fn from_now_on() -> Self {
        MOST_LIVE.set(LIVE.get());
        Self(LIVE.get())
    }

    fn live(&self) -> usize {
        usize::try_from(LIVE.get() - self.0).unwrap_or(0)
    }

    fn most(&self) -> usize {
        usize::try_from(MOST_LIVE.get() - self.0).unwrap_or(0)
    }
}

#[test]
fn the_account_is_what_the_allocator_says() {
    let mut lookup = Lookup::new(&std::env::current_exe().unwrap(), MOST).unwrap();
    let held = Held::from_now_on();
    for at in 0..60 {
        assert!(!lookup.look_up(at).is_empty());
        let (account, live) = (lookup.held(), held.live());
        assert!(live <= account + MIB / 4, "{live} bytes, {account} by its account, after {at}");
        assert!(account <= live + live / 2 + MIB, "{account} by its account, {live} bytes, after {at}");
    }
    // What was parsed may just have been given up for want of room.
    assert!((8 * MIB..=MOST).contains(&held.most()), "{} bytes at most", held.most());
    lookup.release();
    assert!(held.live() <= MIB, "{} bytes", held.live());
}

#[test]
fn the_bound_holds_while_files_are_read_that_do_not_fit() {
    const LITTLE: usize = 4 * MIB;
    let mut lookup = Lookup::new(&std::env::current_exe().unwrap(), LITTLE).unwrap();
    let held = Held::from_now_on();
    (0..60).for_each(|at| assert!(!lookup.look_up(at).is_empty()));
    assert!(held.most() <= LITTLE, "{} bytes", held.most());
}

/// `cargo test --release --all-features --test symbol_memory -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn what_a_program_takes_that_is_looked_up_whole() {
    let path = std::env::var_os(PROGRAM).map_or_else(|| std::env::current_exe().unwrap(), PathBuf::from);
    let mut lookup = Lookup::new(&path, MOST).unwrap();
    let (held, begun, mut done) = (Held::from_now_on(), Instant::now(), 0);
    println!("{}: {} functions", path.display(), lookup.functions());
    for upto in [1, 10, 100, 1_000, 5_000, lookup.functions()] {
        (done..upto).for_each(|at| drop(lookup.look_up(at)));
        done = upto;
        let [account, most, live, most_live] =
            [lookup.held(), lookup.most_held(), held.live(), held.most()].map(|bytes| bytes >> 10);
        println!("{upto}: {account} KiB held, {most} at most; allocated {live}, {most_live}; {:?}", begun.elapsed());
    }
    lookup.release();
    println!("released: {} KiB held, {} allocated", lookup.held() >> 10, held.live() >> 10);
}
