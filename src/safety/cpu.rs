//! How much CPU the agent's own threads use, and what they leave out when it is too much.
//!
//! Above 5 % of one core, averaged over 10 s, the agent sheds one kind of work after another, the cheapest to miss
//! first, and takes it up again below half of that. What is shed is counted where it is left out (`skipped_cpu`).
//!
//! Files read: `/proc/thread-self`, and `/proc/self/task/<thread>/schedstat`, else `stat` beside it.

pub(crate) mod shed;
pub(crate) mod threads;

use std::collections::HashMap;
use std::path::PathBuf;

use super::system::{SystemRoot, SystemUnknown, read_file};
use crate::model::time::Nanos;

/// A thread of this process, by the kernel's number. Numbers come back after a thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ThreadNumber(u32);

/// The number of the calling thread: each of the agent's threads asks as it starts.
///
/// # Errors
/// When `/proc/thread-self` is not a link to a thread.
pub(crate) fn current_thread(root: &SystemRoot) -> Result<ThreadNumber, SystemUnknown> {
    let path = root.join("/proc/thread-self");
    // The link reads `<process>/task/<thread>`.
    let link = std::fs::read_link(&path).map_err(|source| SystemUnknown::Unreadable { path: path.clone(), source })?;
    let number = link.file_name().and_then(|name| name.to_str()?.parse().ok());
    number.map(ThreadNumber).ok_or(SystemUnknown::NoField { path, field: "thread" })
}

/// The CPU time that a thread has used since it started, user and system together.
///
/// `schedstat` counts nanoseconds and is brought up to date at each scheduler tick; kernels without it count ticks of
/// 10 ms. Costs one small read, 7 to 16 µs on a 6.18 kernel.
///
/// # Errors
/// When neither file can be read: the thread has ended, most likely.
pub(crate) fn thread_cpu_time(root: &SystemRoot, thread: ThreadNumber) -> Result<Nanos, SystemUnknown> {
    let file = |name: &str| root.join(&format!("/proc/self/task/{}/{name}", thread.0));
    from_schedstat(file("schedstat")).or_else(|_| from_stat(file("stat")))
}

/// The first of its three numbers. Zero is no answer: kernels that keep no such statistics write `0 0 0`.
fn from_schedstat(path: PathBuf) -> Result<Nanos, SystemUnknown> {
    let text = read_file(&path)?;
    let nanos = text.split_whitespace().next().and_then(|number| number.parse().ok()).filter(|&nanos| nanos != 0);
    nanos.map(Nanos).ok_or(SystemUnknown::NoField { path, field: "run time" })
}

/// `<number> (<name>) <state> …` with user time as the 14th field and system time as the 15th, proc(5).
fn from_stat(path: PathBuf) -> Result<Nanos, SystemUnknown> {
    /// A tick of `/proc` is 1/100 s: USER_HZ is 100 on every architecture that the agent's native capture knows.
    const TICK: u64 = 10_000_000;
    /// Fields between the name and the user time.
    const SKIPPED: usize = 11;
    let text = read_file(&path)?;
    let ticks = || {
        // The name may hold blanks and parentheses, what follows it does not.
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace().skip(SKIPPED);
        let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
        Some(user.saturating_add(system))
    };
    match ticks() {
        Some(ticks) => Ok(Nanos(ticks.saturating_mul(TICK))),
        None => Err(SystemUnknown::NoField { path, field: "utime" }),
    }
}

/// The CPU time of a changing set of threads as one number that only grows.
///
/// Threads come and go (a blocking pool ends its idle ones), so the sum over those alive would fall.
#[derive(Debug, Default)]
pub(crate) struct ThreadsCpu {
    last: HashMap<ThreadNumber, Nanos>,
    total: Nanos,
}

impl ThreadsCpu {
    /// Adds what each thread has used since the last call, a new one since it started, and gives the total. Threads
    /// that are not among `readings` are forgotten; what they used after their last reading is not seen.
    pub(crate) fn advance(&mut self, readings: impl IntoIterator<Item = (ThreadNumber, Nanos)>) -> Nanos {
        let readings: HashMap<ThreadNumber, Nanos> = readings.into_iter().collect();
        for (thread, used) in &readings {
            let before = self.last.get(thread).copied().unwrap_or(Nanos::ZERO);
            // Less than before: another thread has got the number, and all of its time is new.
            let more = if *used < before { *used } else { used.saturating_sub(before) };
            self.total = self.total.saturating_add(more);
        }
        self.last = readings;
        self.total
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
