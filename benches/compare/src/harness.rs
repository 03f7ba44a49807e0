//! Runs the cases of a group in turns, so that what disturbs one disturbs the others as well.

use std::time::Duration;

use crate::stats::Estimate;

/// Rounds of a group: every case runs once in each.
pub const ROUNDS: usize = 41;

/// One thing to measure: runs that many operations and says how long they took.
pub struct Case<'a> {
    pub name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    pub fn new(name: &'static str, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// Times a loop by this thread's CPU time.
    pub fn of_loop(name: &'static str, mut operation: impl FnMut() + 'a) -> Self {
        Self::new(name, move |operations| {
            let start = crate::clocks::thread_cpu();
            for _ in 0..operations {
                operation();
            }
            crate::clocks::thread_cpu() - start
        })
    }

    pub fn run(&mut self, operations: u64) -> Duration {
        (self.run)(operations)
    }
}

/// Nanoseconds an operation: one list for each case, one entry for each round.
pub struct Measured(Vec<(&'static str, Vec<f64>)>);

impl Measured {
    pub fn of(&self, name: &str) -> Estimate {
        Estimate::of(self.samples(name).iter().copied())
    }

    /// `of` minus `base`, round by round.
    pub fn over(&self, name: &str, base: &str) -> Estimate {
        Estimate::of(self.pairs(name, base).map(|(it, base)| it - base))
    }

    /// `of` divided by `base`, round by round.
    pub fn ratio(&self, name: &str, base: &str) -> Estimate {
        Estimate::of(self.pairs(name, base).map(|(it, base)| it / base))
    }

    /// What `name` costs beyond `bare`, divided by what `base` does, round by round.
    pub fn ratio_over(&self, name: &str, base: &str, bare: &str) -> Estimate {
        let bare = self.samples(bare).iter();
        Estimate::of(self.pairs(name, base).zip(bare).map(|((it, base), bare)| (it - bare) / (base - bare)))
    }

    fn pairs<'a>(&'a self, name: &str, base: &str) -> impl Iterator<Item = (f64, f64)> + 'a {
        self.samples(name).iter().copied().zip(self.samples(base).iter().copied())
    }

    fn samples(&self, name: &str) -> &[f64] {
        &self.0.iter().find(|(other, _)| *other == name).unwrap_or_else(|| panic!("no case {name:?}")).1
    }
}

/// Runs each case once without looking, then [`ROUNDS`] times, each round beginning with another case.
pub fn measure(cases: &mut [Case<'_>], operations: u64) -> Measured {
    let mut measured: Vec<_> = cases.iter().map(|case| (case.name, Vec::with_capacity(ROUNDS))).collect();
    for case in cases.iter_mut() {
        case.run(operations);
    }
    for round in 0..ROUNDS {
        for turn in 0..cases.len() {
            let index = (round + turn) % cases.len();
            let took = cases[index].run(operations);
            measured[index].1.push(took.as_nanos() as f64 / operations as f64);
        }
    }
    Measured(measured)
}

/// [`measure`] for what cannot be packed into closures of one process: `sample` gives one figure for each name.
pub fn measure_with(names: &[&'static str], rounds: usize, mut sample: impl FnMut(&str) -> f64) -> Measured {
    let mut measured: Vec<_> = names.iter().map(|name| (*name, Vec::with_capacity(rounds))).collect();
    for round in 0..rounds {
        for turn in 0..names.len() {
            let index = (round + turn) % names.len();
            measured[index].1.push(sample(names[index]));
        }
    }
    Measured(measured)
}
