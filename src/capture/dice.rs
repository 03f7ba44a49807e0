//! The roll that decides whether a unit of work is sampled, and the count of those that were not.
//!
//! Both live in one thread-local, so that an unsampled unit touches nothing that another thread writes.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Rolls are 63 bits wide, so that a rate of 1 is a limit above all of them.
const ROLL_BITS: u32 = 63;

/// A roll: uniform below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roll(u64);

/// A sampling rate as the limit that a roll must stay below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RateLimit(pub(crate) u64);

impl RateLimit {
    /// From a share of 0 to 1; out of that range it is cut to it, NaN is 0.
    pub(crate) fn from_rate(rate: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 2^63")]
        Self((rate.clamp(0.0, 1.0) * 2f64.powi(ROLL_BITS as i32)) as u64)
    }

    #[inline]
    pub(crate) fn admits(self, roll: Roll) -> bool {
        roll.0 < self.0
    }
}

impl Roll {
    /// Below every limit but that of rate 0: for work that is traced whatever the dice say.
    pub(crate) const FORCED: Self = Self(0);
}

struct Local {
    /// The dice's state; 0 until the first roll.
    dice: u64,
    /// Where ids come from.
    rng: Option<SmallRng>,
    /// The counter used last; almost always the only one.
    counter: Option<(u64, Arc<AtomicU64>)>,
    /// Those of other agents in this process.
    others: Vec<(u64, Arc<AtomicU64>)>,
}

impl Local {
    /// SplitMix64 (Steele, Lea, Flood 2014): one word of state and half the instructions of [`SmallRng`], which is
    /// all that a roll needs.
    #[inline]
    fn next_random(&mut self) -> u64 {
        if self.dice == 0 {
            self.dice = seeded().random();
        }
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.dice;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local { dice: 0, rng: None, counter: None, others: Vec::new() }) };
}

/// Counts the units of work that were not sampled: one counter a thread, summed when read.
#[derive(Debug)]
pub(crate) struct SampledOut {
    /// Unique in the process; threads find their counter by it.
    agent: u64,
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    live: Vec<Arc<AtomicU64>>,
    /// The sum of counters whose threads have ended.
    ended: u64,
}

impl SampledOut {
    pub(crate) fn new(agent: u64) -> Self {
        Self { agent, threads: Mutex::default() }
    }

    /// Rolls the dice against `limit`: `Some` when sampled, else it is counted. `None` too while the thread
    /// is being torn down.
    #[inline]
    pub(crate) fn roll(&self, limit: RateLimit) -> Option<Roll> {
        LOCAL.try_with(|local| self.roll_in(&mut *local.try_borrow_mut().ok()?, limit)).ok().flatten()
    }

    #[inline]
    fn roll_in(&self, local: &mut Local, limit: RateLimit) -> Option<Roll> {
        let roll = Roll(local.next_random() >> 1);
        if limit.admits(roll) {
            return Some(roll);
        }
        self.count_in(local);
        None
    }

    /// Counts one that was rolled and then turned out to have a lower rate of its own.
    pub(crate) fn count_one(&self) {
        // `Err` only while the thread is torn down.
        LOCAL.try_with(|local| local.try_borrow_mut().map(|mut local| self.count_in(&mut local)).ok()).ok();
    }

    #[inline]
    fn count_in(&self, local: &mut Local) {
        match &local.counter {
            Some((agent, counter)) if *agent == self.agent => add_one(counter),
            _ => self.count_slowly(local),
        }
    }

    #[cold]
    fn count_slowly(&self, local: &mut Local) {
        let known = local.others.iter().position(|(agent, _)| *agent == self.agent);
        let counter = match known {
            Some(index) => local.others.swap_remove(index).1,
            None => self.register(),
        };
        add_one(&counter);
        // Counters of agents that are gone are held by this thread alone.
        local.others.retain(|(_, counter)| Arc::strong_count(counter) > 1);
        local.others.extend(local.counter.replace((self.agent, counter)));
    }

    fn register(&self) -> Arc<AtomicU64> {
        let counter = Arc::new(AtomicU64::new(0));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retire_ended();
        threads.live.push(counter.clone());
        counter
    }

    /// All units of work not sampled so far.
    pub(crate) fn sum(&self) -> u64 {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retire_ended();
        threads.ended + threads.live.iter().map(|counter| counter.load(Ordering::Relaxed)).sum::<u64>()
    }
}

impl Threads {
    fn retire_ended(&mut self) {
        let Self { live, ended } = self;
        live.retain(|counter| {
            let is_live = Arc::strong_count(counter) > 1;
            if !is_live {
                *ended += counter.load(Ordering::Relaxed);
            }
            is_live
        });
    }
}

/// Not a read-modify-write: only this thread writes the counter.
#[inline]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cold]
fn seeded() -> SmallRng {
    SmallRng::from_rng(&mut rand::rng())
}

/// 128 random bits from this thread's generator.
pub(crate) fn random_bits() -> u128 {
    LOCAL
        .try_with(|local| {
            let mut local = local.try_borrow_mut().ok()?;
            Some(local.rng.get_or_insert_with(seeded).random())
        })
        .ok()
        .flatten()
        .unwrap_or_else(|| rand::rng().random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_one_admits_all_and_rate_zero_none() {
        let dice = SampledOut::new(1);
        let (all, none) = (RateLimit::from_rate(1.0), RateLimit::from_rate(0.0));
        assert!((0..10_000).all(|_| dice.roll(all).is_some()));
        assert!((0..10_000).all(|_| dice.roll(none).is_none()));
        assert!(!none.admits(Roll::FORCED));
        assert_eq!(RateLimit::from_rate(f64::NAN), none);
        assert_eq!(dice.sum(), 10_000);
    }

    #[test]
    fn a_rate_is_met_on_average() {
        let dice = SampledOut::new(2);
        let limit = RateLimit::from_rate(0.1);
        let sampled = (0..100_000).filter(|_| dice.roll(limit).is_some()).count();
        // 10,000 expected, standard deviation 95: ten of them either way.
        assert!((9_050..=10_950).contains(&sampled), "{sampled}");
    }

    #[test]
    fn counts_of_ended_threads_and_of_other_agents_are_kept_apart() {
        let (one, two) = (SampledOut::new(3), SampledOut::new(4));
        let none = RateLimit::from_rate(0.0);
        std::thread::scope(|scope| {
            let roll_all = || {
                for _ in 0..100 {
                    one.roll(none);
                    two.roll(none);
                    two.roll(none);
                }
            };
            // Joined by hand: the scope's own end does not wait for thread-locals to be dropped.
            for thread in [(); 8].map(|()| scope.spawn(roll_all)) {
                thread.join().unwrap();
            }
        });
        assert_eq!((one.sum(), two.sum()), (800, 1_600));
        assert_eq!(one.threads.lock().unwrap().live.len(), 0);
    }
}
