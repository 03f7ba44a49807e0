//! When a thread is sampled.
//!
//! Time is divided into cells of one period, and each thread has one tick in each cell, at a place that is random for
//! the thread and the cell. So a poll is hit with a probability of its duration divided by the period, however short it
//! is and whatever was before it, and work that recurs at the rate of the ticks is not in step with them. Nothing has to
//! be remembered between two ticks, so a timer may rest while nothing is traced and the grid goes on.

/// The first tick after `now`, in nanoseconds like `now` and `period` (not zero).
pub(super) fn next_tick(now: u64, period: u64, seed: u64) -> u64 {
    let cell = now / period;
    let tick = tick_in(cell, period, seed);
    if tick > now { tick } else { tick_in(cell.wrapping_add(1), period, seed) }
}

fn tick_in(cell: u64, period: u64, seed: u64) -> u64 {
    let random = u128::from(scramble(cell ^ seed));
    let offset = (random * u128::from(period)) >> 64;
    // Below `period`, so it fits.
    cell.wrapping_mul(period).wrapping_add(offset as u64)
}

/// A number that looks random for each `word` (the finaliser of SplitMix64).
pub(super) fn scramble(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: u64 = 1_000;

    #[test]
    fn every_cell_has_exactly_one_tick() {
        let (mut now, mut ticks) = (0, 0);
        loop {
            now = next_tick(now, PERIOD, 7);
            if now >= 10_000 * PERIOD {
                break;
            }
            ticks += 1;
        }
        // The first cell's tick may lie at zero, which is not after zero.
        assert!((9_999..=10_000).contains(&ticks), "{ticks}");
    }

    #[test]
    fn short_polls_are_hit_in_proportion_to_their_duration() {
        // In lock step with the period, which a grid without random places would always or never hit.
        for (start, duration) in [(0, 10), (500, 100), (990, 10), (300, 700)] {
            let hits = (0..100_000)
                .map(|poll| poll * PERIOD + start)
                .filter(|enter| next_tick(*enter, PERIOD, 42) <= enter + duration)
                .count();
            let expected = 100_000 * duration / PERIOD;
            let error = (hits as f64 - expected as f64).abs();
            assert!(error < 5.0 * (expected as f64).sqrt(), "{hits} hits of {expected}");
        }
    }

    #[test]
    fn threads_do_not_tick_together() {
        let same = (0..1_000).filter(|cell| tick_in(*cell, PERIOD, 1) == tick_in(*cell, PERIOD, 2)).count();
        assert!(same < 20, "{same}");
    }
}
