//! Prints what the sampler costs; asserts nothing about time, which belongs to the machine.
//!
//! `cargo test --release --test sampler_cost -- --ignored --nocapture`
#![cfg(all(native_capture, feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "what was measured is worth seeing")]

use flame_on::__sampler::{Counts, Probe, cost};
use flame_on::CpuSignal;

#[test]
#[ignore = "a measurement"]
fn what_it_costs() {
    // Ticks of its own would be in the way.
    let probe = Probe::start(1, CpuSignal::Urg, 4).unwrap();
    let before = Counts::now();
    println!("enter and leave: {:.1} ns", cost::enter_and_leave(&probe));
    println!("arming the timer: {:.0} ns", cost::arm(&probe));
    for bytes in [0, 1_024, 4_096, 16_384] {
        println!("handler over {bytes} bytes of stack: {:.0} ns", cost::handler(&probe, bytes));
    }
    let (nanos, frames) = cost::await_site(20);
    println!("the stack of an await site of {frames} frames: {nanos:.0} ns");
    drop(probe);
    const HZ: u32 = 997;
    let probe = Probe::start(HZ, CpuSignal::Urg, 4).unwrap();
    println!("a tick, all that the thread pays for it: {:.1} us", cost::tick(&probe) / 1_000.0);
    println!("the same of a handler that only counts: {:.1} us", cost::plain_tick(HZ).unwrap() / 1_000.0);
    let counts = Counts::now().since(before);
    assert!(counts.taken > 1_000 && counts.ring_full < counts.taken / 10, "{counts:?}");
}
