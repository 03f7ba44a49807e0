//! From the processor's counter to nanoseconds.
//!
//! ```text
//! counter   ──b──────a───────────── at least 10 ms ─────────────b──────a──
//! system    ─────m───────────────────────────────────────────────m────────
//! ```
//! Each end is the tightest of many readings of both clocks, so that a thread that is put aside between the two (which
//! costs a scale from single readings some percent, for as long as the process lives) spoils one reading and no more.

use std::thread::sleep;
use std::time::Duration;

use super::ticks::{counter, uncorrected_nanos};

/// Readings of both clocks at each end, a few dozen nanoseconds each.
const READINGS: u32 = 64;
/// Between the two ends: an uncertainty of 50 ns at both is 10 parts in a million then.
const BASELINE: Duration = Duration::from_millis(10);
/// Bits of the factor behind the point.
const FRACTION: u32 = 32;

/// Nanoseconds of one count, as a binary fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale(u64);

/// Both clocks at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    count: u64,
    nanos: u64,
}

impl Scale {
    /// As it is now; blocks for 10 ms.
    pub(super) fn measure() -> Option<Self> {
        let begin = Reading::take();
        // Longer is as good.
        sleep(BASELINE);
        Self::between(begin, Reading::take())
    }

    /// `None` when a clock did not move.
    fn between(begin: Reading, end: Reading) -> Option<Self> {
        let nanos = u128::from(end.nanos.checked_sub(begin.nanos)?) << FRACTION;
        let factor = u64::try_from(nanos.checked_div(end.count.checked_sub(begin.count)?.into())?).ok()?;
        (factor > 0).then_some(Self(factor))
    }

    /// What so many counts take; at most what 64 bits hold.
    #[inline]
    pub(crate) fn nanos(self, counts: u64) -> u64 {
        u64::try_from((u128::from(counts) * u128::from(self.0)) >> FRACTION).unwrap_or(u64::MAX)
    }
}

impl Reading {
    /// Both clocks now. The system's is the one that is not corrected: while a machine's time of day is put right, others
    /// run some percent faster or slower.
    fn take() -> Self {
        Self::tightest(READINGS, both)
    }

    /// Of `count` readings, each of the counter before and after the other clock, the one with the least between.
    fn tightest(count: u32, mut read: impl FnMut() -> (u64, u64, u64)) -> Self {
        let readings = (0..count).map(|_| read());
        // On a counter that went back nothing is known.
        let (before, nanos, after) = readings
            .min_by_key(|(before, _, after)| after.checked_sub(*before).unwrap_or(u64::MAX))
            .unwrap_or_default();
        Self { count: before.midpoint(after), nanos }
    }
}

fn both() -> (u64, u64, u64) {
    let before = counter();
    let nanos = uncorrected_nanos();
    (before, nanos, counter())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::ticks;
    use super::*;

    /// Two clocks of which the one counts three times in a nanosecond, read by a thread that is put aside now and then.
    struct Disturbed {
        now: u64,
        reading: u32,
    }

    impl Disturbed {
        fn read(&mut self) -> (u64, u64, u64) {
            self.reading += 1;
            let is_fine = self.reading % 16 == 5;
            let aside = if is_fine { 0 } else { 1_000_000 * u64::from(self.reading % 7 + 1) };
            let before = 3 * self.now;
            // Sometimes on this side of the other clock, sometimes on that one.
            self.now += 20 + if self.reading.is_multiple_of(2) { aside } else { 0 };
            let nanos = self.now;
            self.now += 20 + if self.reading.is_multiple_of(2) { 0 } else { aside };
            (before, nanos, 3 * self.now)
        }
    }

    #[test]
    fn a_thread_that_is_put_aside_between_the_clocks_spoils_nothing() {
        let mut clocks = Disturbed { now: 5_000, reading: 0 };
        let begin = Reading::tightest(READINGS, || clocks.read());
        clocks.now += 10_000_000;
        let end = Reading::tightest(READINGS, || clocks.read());
        let second = Scale::between(begin, end).unwrap().nanos(3_000_000_000);
        assert!((999_999_000..=1_000_001_000).contains(&second), "{second}");
    }

    #[test]
    fn any_frequency_is_converted_and_nothing_overflows() {
        let begin = Reading { count: 7, nanos: 9 };
        for hertz in [19_200_000, 24_000_000, 1_000_000_000, 2_899_886_000, 5_700_000_000] {
            let end = Reading { count: 7 + hertz / 100, nanos: 9 + 10_000_000 };
            let scale = Scale::between(begin, end).unwrap();
            let hour = scale.nanos(hertz * 3_600);
            assert!(hour.abs_diff(3_600_000_000_000) < 40_000, "{hertz} Hz: {hour}");
            assert_eq!(scale.nanos(0), 0);
            scale.nanos(u64::MAX);
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_no_scale() {
        let reading = |count, nanos| Reading { count, nanos };
        assert_eq!(Scale::between(reading(5, 5), reading(5, 9)), None);
        assert_eq!(Scale::between(reading(5, 5), reading(4, 9)), None);
        assert_eq!(Scale::between(reading(5, 5), reading(9, 5)), None);
        assert_eq!(Scale::between(reading(5, 5), reading(9, 4)), None);
    }

    #[test]
    fn this_machines_counter_agrees_with_its_clock() {
        // Without a counter that can be relied on there is nothing to convert.
        let Some(scale) = ticks::prepare() else { return };
        let begin = Reading::take();
        sleep(Duration::from_millis(50));
        let end = Reading::take();
        let (counted, passed) = (scale.nanos(end.count - begin.count), end.nanos - begin.nanos);
        assert!(counted.abs_diff(passed) <= passed / 2_000, "{counted} of {passed} ns");
    }
}
