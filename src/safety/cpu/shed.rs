//! What to leave out at which use of CPU.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::model::time::Nanos;

/// The time over which the use is averaged, and the shortest time between two steps of one level: the effect of a step
/// shows only when the time before it has left the average.
const WINDOW: Nanos = Nanos(10_000_000_000);
/// 5 % of one core, in thousandths.
const LIMIT: u128 = 50;
/// Below half the limit the agent takes work up again. In between it keeps to what it does.
const REARM: u128 = LIMIT / 2;
/// At 20 % of one core it stops new traces at once instead of step by step (20 s more).
const EMERGENCY: u128 = 4 * LIMIT;
/// Readings closer together than this are not kept, so that there are never more than 12: those of one window, and one
/// at each end of it.
const SPACING: Nanos = Nanos(WINDOW.0 / 10);
/// How many of the traces that pass all else are admitted at [`ShedLevel::Traces`]: one in this many.
const ADMITTED: u32 = 8;

/// What the agent leaves out to save CPU; each level includes those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ShedLevel {
    /// Nothing.
    #[default]
    Nothing,
    /// CPU samples: unwinding and naming them is the largest part of a trace's cost.
    Samples,
    /// Seven of eight new traces.
    Traces,
    /// All new traces.
    AllTraces,
}

impl ShedLevel {
    const ALL: [Self; 4] = [Self::Nothing, Self::Samples, Self::Traces, Self::AllTraces];

    fn more(self) -> Self {
        Self::from_number(self as u8 + 1)
    }

    fn less(self) -> Self {
        Self::from_number((self as u8).saturating_sub(1))
    }

    /// Past the last level: the last one.
    fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::AllTraces)
    }
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Nanos,
    used: Nanos,
}

/// Decides the level from readings of the agent's CPU time.
#[derive(Debug, Default)]
pub(crate) struct CpuShed {
    /// Since the last step, oldest first; only the oldest may be older than the window.
    readings: VecDeque<Reading>,
    level: ShedLevel,
}

impl CpuShed {
    /// Takes the reading of `now` and gives the level from now on. `used` is the CPU time of all the agent's threads
    /// since any fixed time, as [`super::ThreadsCpu`] adds it up.
    ///
    /// Decides over the last 10 s, or over the time between two calls where that is longer, and only when it has seen
    /// that much since its last step.
    pub(crate) fn decide(&mut self, now: Nanos, used: Nanos) -> ShedLevel {
        let reading = Reading { at: now, used };
        self.forget_before(now.saturating_sub(WINDOW));
        match self.readings.front() {
            Some(oldest) if now.saturating_sub(oldest.at) >= WINDOW => {
                let next = next_level(self.level, thousandths_of_a_core(*oldest, reading));
                if next != self.level {
                    self.level = next;
                    self.readings.clear();
                }
            }
            _ => {}
        }
        if self.readings.back().is_none_or(|last| now.saturating_sub(last.at) >= SPACING) {
            self.readings.push_back(reading);
        }
        self.level
    }

    /// Keeps one reading from before `start`: the average begins there.
    fn forget_before(&mut self, start: Nanos) {
        while self.readings.get(1).is_some_and(|second| second.at <= start) {
            self.readings.pop_front();
        }
    }
}

fn thousandths_of_a_core(from: Reading, to: Reading) -> u128 {
    let elapsed = u128::from(to.at.saturating_sub(from.at).0).max(1);
    u128::from(to.used.saturating_sub(from.used).0) * 1_000 / elapsed
}

fn next_level(level: ShedLevel, thousandths: u128) -> ShedLevel {
    match thousandths {
        EMERGENCY.. => ShedLevel::AllTraces,
        over if over > LIMIT => level.more(),
        under if under < REARM => level.less(),
        _ => level,
    }
}

/// The level as host threads see it. Starts at [`ShedLevel::Nothing`]; share it behind an `Arc`.
#[derive(Debug, Default)]
pub(crate) struct CpuGate {
    level: AtomicU8,
    turn: AtomicU32,
}

impl CpuGate {
    /// Puts a decision into force.
    pub(crate) fn set(&self, level: ShedLevel) {
        // Relaxed, here and below: a level orders nothing.
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// The level in force.
    pub(crate) fn level(&self) -> ShedLevel {
        ShedLevel::from_number(self.level.load(Ordering::Relaxed))
    }

    /// Whether CPU samples are taken.
    #[cfg(test)]
    pub(crate) fn takes_samples(&self) -> bool {
        self.level() < ShedLevel::Samples
    }

    /// Whether this new trace may begin. Ask last, each time once: at [`ShedLevel::Traces`] about one call in eight
    /// says yes, in no order that a host's own rhythm could meet.
    pub(crate) fn admits(&self) -> bool {
        match self.level() {
            ShedLevel::Nothing | ShedLevel::Samples => true,
            ShedLevel::Traces => scatter(self.turn.fetch_add(1, Ordering::Relaxed)).is_multiple_of(ADMITTED),
            ShedLevel::AllTraces => false,
        }
    }
}

/// The 32-bit finaliser of MurmurHash3: one to one, and every bit depends on every other. Used instead of the
/// admission's random number, which is a small one for every trace that passed a low sample rate.
fn scatter(turn: u32) -> u32 {
    let mut bits = turn;
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
    bits ^ (bits >> 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Calls once a second with a constant use, and gives the level after each.
    fn run(shed: &mut CpuShed, clock: &mut (u64, u64), thousandths: u64, seconds: u64) -> Vec<ShedLevel> {
        (0..seconds)
            .map(|_| {
                clock.0 += SECOND;
                clock.1 += SECOND / 1_000 * thousandths;
                shed.decide(Nanos(clock.0), Nanos(clock.1))
            })
            .collect()
    }

    fn level_after(shed: &mut CpuShed, clock: &mut (u64, u64), thousandths: u64, seconds: u64) -> ShedLevel {
        run(shed, clock, thousandths, seconds).last().copied().unwrap_or_default()
    }

    #[test]
    fn at_the_limit_nothing_is_shed() {
        assert_eq!(level_after(&mut CpuShed::default(), &mut (0, 0), 50, 300), ShedLevel::Nothing);
    }

    #[test]
    fn above_it_one_kind_of_work_goes_after_another_a_window_apart() {
        let levels = run(&mut CpuShed::default(), &mut (0, 0), 60, 45);
        let first_at = |level| levels.iter().position(|&l| l == level);
        assert_eq!(first_at(ShedLevel::Samples), Some(10), "a window is 10 s after the first reading");
        assert_eq!(first_at(ShedLevel::Traces), Some(20));
        assert_eq!(first_at(ShedLevel::AllTraces), Some(30));
        assert_eq!(levels.last(), Some(&ShedLevel::AllTraces));
    }

    #[test]
    fn a_burst_shorter_than_the_window_is_averaged_away() {
        let (mut shed, mut clock) = (CpuShed::default(), (0, 0));
        run(&mut shed, &mut clock, 1, 60);
        run(&mut shed, &mut clock, 400, 1);
        assert_eq!(level_after(&mut shed, &mut clock, 1, 60), ShedLevel::Nothing);
    }

    #[test]
    fn far_above_it_new_traces_stop_at_once() {
        let (mut shed, mut clock) = (CpuShed::default(), (0, 0));
        assert_eq!(level_after(&mut shed, &mut clock, 200, 11), ShedLevel::AllTraces);
    }

    #[test]
    fn work_is_taken_up_again_only_below_half_the_limit() {
        let (mut shed, mut clock) = (CpuShed::default(), (0, 0));
        assert_eq!(level_after(&mut shed, &mut clock, 60, 11), ShedLevel::Samples);
        assert_eq!(level_after(&mut shed, &mut clock, 30, 300), ShedLevel::Samples, "in between it keeps its level");
        assert_eq!(level_after(&mut shed, &mut clock, 24, 30), ShedLevel::Nothing);
    }

    #[test]
    fn coming_back_from_the_last_level_takes_a_window_for_each_step() {
        let (mut shed, mut clock) = (CpuShed::default(), (0, 0));
        run(&mut shed, &mut clock, 500, 11);
        let levels = run(&mut shed, &mut clock, 0, 40);
        let steps = levels.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!((steps, levels[38]), (3, ShedLevel::Nothing));
        assert_eq!(levels[8], ShedLevel::AllTraces, "not before a whole window");
    }

    #[test]
    fn rare_readings_average_over_the_time_between_them() {
        let mut shed = CpuShed::default();
        shed.decide(Nanos(0), Nanos(0));
        assert_eq!(shed.decide(Nanos(60 * SECOND), Nanos(4 * SECOND)), ShedLevel::Samples, "66 thousandths");
    }

    #[test]
    fn the_gate_lets_through_what_the_level_says() {
        let gate = CpuGate::default();
        let admitted = |level| {
            gate.set(level);
            (0..8_000).filter(|_| gate.admits()).count()
        };
        assert_eq!(admitted(ShedLevel::Nothing), 8_000);
        assert_eq!(admitted(ShedLevel::Samples), 8_000);
        assert!((900..1_100).contains(&admitted(ShedLevel::Traces)));
        assert_eq!(admitted(ShedLevel::AllTraces), 0);
        gate.set(ShedLevel::Nothing);
        assert!(gate.takes_samples());
        gate.set(ShedLevel::Samples);
        assert!(!gate.takes_samples());
    }

    #[test]
    fn a_host_that_alternates_endpoints_gets_traces_of_each() {
        let gate = CpuGate::default();
        gate.set(ShedLevel::Traces);
        for period in [2, 3, 4, 8, 16] {
            let mut admitted = vec![0; period];
            for call in 0..4_000 {
                admitted[call % period] += usize::from(gate.admits());
            }
            assert!(admitted.iter().all(|&count| count > 4_000 / period / 16), "{period}: {admitted:?}");
        }
    }

    proptest! {
        #[test]
        fn readings_of_any_kind_stay_bounded_and_move_one_level_at_a_time_unless_it_is_an_emergency(
            steps in prop::collection::vec((0_u64..30 * SECOND, 0_u64..3 * SECOND), 0..200),
        ) {
            let mut shed = CpuShed::default();
            let (mut now, mut used, mut level) = (0, 0, ShedLevel::Nothing);
            for (elapsed, more) in steps {
                (now, used) = (now + elapsed, used + more);
                let next = shed.decide(Nanos(now), Nanos(used));
                prop_assert!(next == level || next == level.more() || next == level.less() || next == ShedLevel::AllTraces);
                prop_assert!(shed.readings.len() <= 12);
                level = next;
            }
        }

        #[test]
        fn clocks_that_go_anywhere_do_no_harm(readings in prop::collection::vec(any::<(u64, u64)>(), 0..50)) {
            let mut shed = CpuShed::default();
            for (now, used) in readings {
                shed.decide(Nanos(now), Nanos(used));
                prop_assert!(shed.readings.len() <= 12);
            }
        }
    }
}
