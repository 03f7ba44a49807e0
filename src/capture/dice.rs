//! Which units of work are sampled, and the count of those that were not.
//!
//! ```text
//! units of this thread   0 1 2 3 4 5 6 7 8 …
//! counted as left out    ├─────────────┤│
//! next hit                              └ `until`, drawn when the one before it was reached
//! ```
//! A roll for each unit and the distance to the next hit drawn once are the same statistics (the distance between hits
//! of independent rolls is geometric), so a unit that is not sampled only moves its thread's counter up. The counter
//! is written by its thread alone.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use rand::Rng;
use rand::rngs::SmallRng;

use super::native::fork;
use crate::safety::lock::lock;
use crate::safety::random;

/// Rolls are 63 bits wide, so that a rate of 1 is a limit above all of them.
const ROLL_BITS: u32 = 63;

/// A roll: uniform below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roll(u64);

/// A sampling rate as the limit that a roll must stay below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RateLimit(u64);

impl RateLimit {
    const ALL: Self = Self(1 << ROLL_BITS);

    /// From a share of 0 to 1; out of that range it is cut to it, NaN is 0.
    pub(crate) fn from_rate(rate: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 2^63")]
        Self((rate.clamp(0.0, 1.0) * 2f64.powi(ROLL_BITS as i32)) as u64)
    }

    #[inline]
    pub(crate) fn admits(self, roll: Roll) -> bool {
        roll.0 < self.0
    }

    /// How many units are left out before the next hit; `None` at rate 0, where there is none.
    fn draw_distance(self, random: &mut SmallRng) -> Option<u64> {
        if self == Self::ALL {
            return Some(0);
        }
        let rate = self.0 as f64 / 2f64.powi(ROLL_BITS as i32);
        // Above 0 and up to 1: a logarithm of 0 would be a distance without end.
        let uniform = 1.0 - random.random::<f64>();
        let distance = uniform.ln() / (-rate).ln_1p();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; `as` saturates")]
        (self.0 > 0).then_some(distance as u64)
    }

    /// A roll that this limit admits: the one of a hit.
    fn draw_roll(self, random: &mut SmallRng) -> Roll {
        let product = u128::from(random.random::<u64>()) * u128::from(self.0);
        Roll((product >> 64) as u64)
    }
}

impl Roll {
    /// For work that is traced whatever the dice say, at a rate of 0 too. A real roll is this one in 2^63 times.
    pub(crate) const FORCED: Self = Self(0);
}

/// Counts the units of one thread that one agent left out. A cache line of its own, because one thread writes it all
/// the time.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

impl Counter {
    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Not a read-modify-write: only its thread writes the counter.
    #[inline]
    fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }
}

/// Counters that no thread uses. They are never freed, so that a thread reaches its own without a count of owners:
/// 64 bytes for each thread that ran at one time, and agent.
static UNUSED: Mutex<Vec<&'static Counter>> = Mutex::new(Vec::new());

static NO_COUNTER: Counter = Counter(AtomicU64::new(0));

/// No dice have this key.
const NO_KEY: u64 = 0;
static NEXT_KEY: AtomicU64 = AtomicU64::new(NO_KEY + 1);

fn next_key() -> u64 {
    NEXT_KEY.fetch_add(1, Ordering::Relaxed)
}

/// What this thread goes by for the dice that it rolled last; almost always the only ones.
struct Hot {
    /// The key under which `until` was drawn: another one means other dice, or another rate.
    key: Cell<u64>,
    /// The count at which the next unit is a hit.
    until: Cell<u64>,
    counter: Cell<&'static Counter>,
}

/// A thread's counter for one agent.
struct Place {
    threads: Weak<Mutex<Threads>>,
    counter: &'static Counter,
}

/// This thread's places; its end gives them back.
struct Places(Vec<Place>);

thread_local! {
    // Without a destructor, so that reaching it is one address and no look at its state.
    static HOT: Hot = const {
        Hot { key: Cell::new(NO_KEY), until: Cell::new(0), counter: Cell::new(&NO_COUNTER) }
    };
    static PLACES: RefCell<Places> = const { RefCell::new(Places(Vec::new())) };
    static RANDOM: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
}

/// The dice of one agent: decides which units of work are sampled, and counts the others.
#[derive(Debug)]
pub(crate) struct UnitDice {
    /// Unique in the process; another one with each rate.
    key: AtomicU64,
    limit: AtomicU64,
    threads: Arc<Mutex<Threads>>,
}

#[derive(Debug, Default)]
struct Threads {
    live: Vec<&'static Counter>,
    /// The sum of counters whose threads have ended.
    ended: u64,
}

impl UnitDice {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { key: AtomicU64::new(next_key()), limit: AtomicU64::new(limit.0), threads: Arc::default() }
    }

    /// Changes the rate for all units from now on.
    pub(crate) fn set_limit(&self, limit: RateLimit) {
        self.limit.store(limit.0, Ordering::Relaxed);
        // Release, after the limit: who sees this key draws with that limit. Distances are without memory, so one
        // that was under way may be drawn anew.
        self.key.store(next_key(), Ordering::Release);
    }

    /// `Some` when this unit is sampled, with a roll below the limit; else it is counted. `None` too while the thread
    /// is being torn down.
    #[inline]
    pub(crate) fn roll(&self) -> Option<Roll> {
        HOT.try_with(|hot| {
            let counter = hot.counter.get();
            let count = counter.get();
            if hot.key.get() == self.key.load(Ordering::Relaxed) && count < hot.until.get() {
                counter.set(count + 1);
                return None;
            }
            self.roll_slowly(hot)
        })
        .ok()
        .flatten()
    }

    /// A hit, the first unit of this thread, or one after the rate or the dice have changed.
    #[cold]
    #[inline(never)]
    fn roll_slowly(&self, hot: &Hot) -> Option<Roll> {
        let key = self.key.load(Ordering::Acquire);
        let limit = RateLimit(self.limit.load(Ordering::Relaxed));
        let is_hit = hot.key.get() == key;
        if !is_hit {
            hot.counter.set(self.counter()?);
        }
        let counter = hot.counter.get();
        with_random(|random| {
            hot.key.set(key);
            let (count, distance) = (counter.get(), if is_hit { Some(0) } else { limit.draw_distance(random) });
            if distance == Some(0) {
                hot.until.set(after(count, limit.draw_distance(random)));
                return Some(limit.draw_roll(random));
            }
            hot.until.set(after(count, distance));
            counter.set(count + 1);
            None
        })
        .flatten()
    }

    /// Counts one that was hit and then turned out to have a lower rate of its own.
    pub(crate) fn count_one(&self) {
        if let Some(counter) = self.counter() {
            counter.set(counter.get() + 1);
            // The next hit is as far away as before.
            HOT.try_with(|hot| {
                if std::ptr::eq(hot.counter.get(), counter) {
                    hot.until.set(hot.until.get().saturating_add(1));
                }
            })
            // `Err` only where this platform's thread-locals are gone.
            .ok();
        }
    }

    /// This thread's counter; `None` while the thread is torn down, and in a forked child, where a lock that another
    /// thread held stays locked.
    fn counter(&self) -> Option<&'static Counter> {
        if fork::is_forked_child() {
            return None;
        }
        PLACES.try_with(|places| Some(places.try_borrow_mut().ok()?.counter_of(&self.threads))).ok().flatten()
    }

    /// All units of work not sampled so far.
    pub(crate) fn sum(&self) -> u64 {
        let threads = lock(&self.threads);
        threads.ended + threads.live.iter().map(|counter| counter.get()).sum::<u64>()
    }
}

/// The count that is `distance` ahead; never, without a distance.
fn after(count: u64, distance: Option<u64>) -> u64 {
    distance.map_or(u64::MAX, |distance| count.saturating_add(distance))
}

impl Places {
    fn counter_of(&mut self, threads: &Arc<Mutex<Threads>>) -> &'static Counter {
        if let Some(place) = self.0.iter().find(|place| place.threads.as_ptr() == Arc::as_ptr(threads)) {
            return place.counter;
        }
        // Those of agents that are gone.
        self.0.extract_if(.., |place| place.threads.strong_count() == 0).for_each(Place::give_back);
        let unused = lock(&UNUSED).pop();
        let counter = unused.unwrap_or_else(|| Box::leak(Box::default()));
        lock(threads).live.push(counter);
        self.0.push(Place { threads: Arc::downgrade(threads), counter });
        counter
    }
}

impl Place {
    /// Adds the count to its agent's, and lets another thread have the counter.
    fn give_back(self) {
        if let Some(threads) = self.threads.upgrade() {
            let mut threads = lock(&threads);
            threads.live.retain(|counter| !std::ptr::eq(*counter, self.counter));
            threads.ended += self.counter.get();
        }
        self.counter.set(0);
        lock(&UNUSED).push(self.counter);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if fork::is_forked_child() {
            return;
        }
        // What still runs in this thread finds no counter, and is not sampled.
        HOT.try_with(|hot| {
            hot.key.set(NO_KEY);
            hot.counter.set(&NO_COUNTER);
        })
        .ok();
        self.0.drain(..).for_each(Place::give_back);
    }
}

/// `None` while the thread is torn down, or where a seed's own code came back here.
fn with_random<R>(f: impl FnOnce(&mut SmallRng) -> R) -> Option<R> {
    RANDOM.try_with(|random| Some(f(random.try_borrow_mut().ok()?.get_or_insert_with(seeded)))).ok().flatten()
}

#[cold]
fn seeded() -> SmallRng {
    random::seeded()
}

/// 128 random bits from this thread's generator.
pub(crate) fn random_bits() -> u128 {
    with_random(|random| random.random()).unwrap_or_else(|| random::seeded().random())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "tests")]
mod tests {
    use super::*;

    fn dice(rate: f64) -> UnitDice {
        UnitDice::new(RateLimit::from_rate(rate))
    }

    #[test]
    fn rate_one_admits_all_and_rate_zero_none() {
        let (all, none) = (dice(1.0), dice(0.0));
        assert!((0..10_000).all(|_| all.roll().is_some()));
        assert!((0..10_000).all(|_| none.roll().is_none()));
        assert_eq!((all.sum(), none.sum()), (0, 10_000));
        assert!(!RateLimit::from_rate(0.0).admits(Roll::FORCED));
        assert_eq!(RateLimit::from_rate(f64::NAN), RateLimit::from_rate(0.0));
    }

    #[test]
    fn a_rate_is_met_on_average() {
        for rate in [0.1, 0.5, 0.9] {
            let dice = dice(rate);
            let sampled = (0..100_000).filter(|_| dice.roll().is_some()).count() as u64;
            assert_eq!(dice.sum(), 100_000 - sampled);
            // The largest standard deviation is that of 0.5, 158: ten of them either way.
            let expected = rate * 100_000.0;
            assert!((expected - 1_580.0..=expected + 1_580.0).contains(&(sampled as f64)), "{rate}: {sampled}");
        }
    }

    /// Independent rolls have it so: of the hits at rate a, the share b/a are hits at rate b; and a hit says nothing
    /// about the next unit.
    #[test]
    fn a_lower_rate_is_met_among_the_hits_and_hits_are_independent() {
        let (dice, lower) = (dice(0.4), RateLimit::from_rate(0.1));
        let rolls: Vec<_> = (0..200_000).map(|_| dice.roll()).collect();
        let hits = rolls.iter().flatten().count();
        let lower = rolls.iter().flatten().filter(|roll| lower.admits(**roll)).count();
        // 20,000 expected, standard deviation 134.
        assert!((18_660..=21_340).contains(&lower), "{lower}");
        let twice = rolls.windows(2).filter(|pair| pair[0].is_some() && pair[1].is_some()).count();
        // Of 80,000 hits 32,000 are followed by one at once; standard deviation below 200.
        assert!((30_000..=34_000).contains(&twice), "{twice} of {hits}");
        let limit = RateLimit::from_rate(0.4);
        assert!(rolls.iter().flatten().all(|roll| limit.admits(*roll)));
    }

    #[test]
    fn another_rate_holds_from_the_next_unit_on() {
        let dice = dice(0.0);
        assert!((0..100).all(|_| dice.roll().is_none()));
        dice.set_limit(RateLimit::from_rate(1.0));
        assert!((0..100).all(|_| dice.roll().is_some()));
        dice.set_limit(RateLimit::from_rate(0.0));
        assert!((0..100).all(|_| dice.roll().is_none()));
        assert_eq!(dice.sum(), 200);
    }

    #[test]
    fn what_turns_out_to_have_a_lower_rate_is_counted_and_moves_no_hit() {
        let dice = dice(0.5);
        let hits = (0..10_000).filter_map(|_| dice.roll()).map(|_| dice.count_one()).count() as u64;
        assert_eq!(dice.sum(), 10_000);
        assert!((4_500..=5_500).contains(&hits), "standard deviation 50: {hits}");
    }

    #[test]
    fn counts_of_ended_threads_and_of_other_agents_are_kept_apart() {
        let (one, two) = (dice(0.0), dice(0.0));
        std::thread::scope(|scope| {
            let roll_all = || {
                for _ in 0..100 {
                    one.roll();
                    two.roll();
                    two.roll();
                }
            };
            // Joined by hand: the scope's own end does not wait for thread-locals to be dropped.
            for thread in [(); 8].map(|()| scope.spawn(roll_all)) {
                thread.join().unwrap();
            }
        });
        assert_eq!((one.sum(), two.sum()), (800, 1_600));
        assert_eq!(lock(&one.threads).live.len(), 0);
    }

    #[test]
    fn a_thread_lets_go_of_the_dice_that_are_gone() {
        std::thread::spawn(|| {
            for _ in 0..10 {
                dice(0.0).roll();
            }
            PLACES.with(|places| assert_eq!(places.borrow().0.len(), 1));
        })
        .join()
        .unwrap();
    }
}
