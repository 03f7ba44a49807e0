//! What the tests of the sampler share.
#![allow(dead_code, reason = "each binary uses a part")]

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flame_on::__sampler::{Probe, host};
use object::{Object, ObjectSegment, ObjectSymbol};

/// Ends a test that waits for what never comes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The sampler is the whole process's: one test at a time, each in a thread that is gone when the next one begins.
pub(crate) fn alone(test: impl FnOnce() + Send) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = std::thread::scope(|scope| scope.spawn(test).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// Where the code of `function` lies, by the symbol table of this binary.
pub(crate) fn code_of(function: *const ()) -> Range<u64> {
    let address = function as u64;
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let bias = address_of_the_binary() - file.segments().map(|segment| segment.address()).min().unwrap();
    let symbol =
        file.symbols().find(|symbol| symbol.address().wrapping_add(bias) == address && symbol.size() > 0).unwrap();
    address..address + symbol.size()
}

/// The lowest mapping of the executable.
fn address_of_the_binary() -> u64 {
    let executable = std::fs::read_link("/proc/self/exe").unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let own = maps.lines().filter(|line| line.split_whitespace().nth(5).map(Path::new) == Some(&executable));
    own.map(|line| u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()).min().unwrap()
}

/// Uses `amount` of the processor's time of this thread.
#[inline(always)]
pub(crate) fn burn(amount: Duration) -> u64 {
    let end = host::thread_cpu() + amount;
    let mut sum = 1u64;
    while host::thread_cpu() < end {
        for step in 0..500 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(step));
        }
    }
    sum
}

/// Runs polls of a millisecond until `is_enough`, or the test's time is up. Returns the samples that the polls counted.
#[inline(never)]
pub(crate) fn poll_until(probe: &Probe, label: u64, mut is_enough: impl FnMut(u32) -> bool) -> u32 {
    let (begin, mut taken) = (Instant::now(), 0);
    while !is_enough(taken) && begin.elapsed() < LIMIT {
        taken += probe.poll(label, || burn(Duration::from_millis(1))).1;
    }
    taken
}

/// The timers of this process by the kernel's own list; `None` where it keeps none.
pub(crate) fn timers() -> Option<usize> {
    let list = std::fs::read_to_string("/proc/self/timers").ok()?;
    Some(list.lines().filter(|line| line.starts_with("ID:")).count())
}
