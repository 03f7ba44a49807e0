//! Folding one recorded Call or Return.

use std::collections::HashMap;
use std::hint::black_box;

use flame_on::__bench::FoldRun;

use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

const GOAL: &str = "≤ 15 ns";
const CHAINS: u32 = 100;
const LEAVES: u32 = 20;
pub const DEPTH: u32 = 20;

/// 2,000 paths of 20 frames: 100 chains of 19 with 20 leaves each.
fn paths() -> Vec<Vec<u32>> {
    let chains = (0..CHAINS).flat_map(|chain| (0..LEAVES).map(move |leaf| (chain, leaf)));
    chains
        .map(|(chain, leaf)| {
            let levels = (0..DEPTH - 1).map(|level| 10 + level * CHAINS + chain);
            levels.chain([10 + DEPTH * CHAINS + leaf]).collect()
        })
        .collect()
}

/// The same paths in an order without any pattern (a fixed one: 1,237 and 2,000 have no common factor).
fn scattered(paths: &[Vec<u32>]) -> Vec<Vec<u32>> {
    (0..paths.len()).map(|index| paths[index * 1_237 % paths.len()].clone()).collect()
}

pub fn in_order() -> FoldRun {
    FoldRun::new(&paths())
}

/// How a profiler without a tree would do it: own time by joined path.
fn join_strings(paths: &[Vec<u32>], own: &mut HashMap<String, u64>) {
    for path in paths {
        let names: Vec<String> = path.iter().map(|frame| format!("step_{frame}")).collect();
        for depth in (1..=names.len()).chain((0..names.len()).rev()) {
            *own.entry(names[..depth].join(";")).or_default() += 10;
        }
    }
}

pub fn print() {
    let paths = paths();
    let (mut ordered, mut without_order) = (FoldRun::new(&paths), FoldRun::new(&scattered(&paths)));
    let events = ordered.events();
    let mut own = HashMap::new();
    let per_run = |run: &mut dyn FnMut(), operations: u64| {
        let start = crate::clocks::thread_cpu();
        (0..operations / events).for_each(|_| run());
        crate::clocks::thread_cpu() - start
    };
    let measured = measure(
        &mut [
            Case::new("ordered", |operations| per_run(&mut || ordered.run(), operations)),
            Case::new("without order", |operations| per_run(&mut || without_order.run(), operations)),
            Case::new("strings", |operations| per_run(&mut || join_strings(&paths, black_box(&mut own)), operations)),
        ],
        events,
    );
    Row::new("fold one Call or Return, depth 20, 2,000 paths", GOAL, Unit::Nanos.show(measured.of("ordered")))
        .peer("joined strings:", measured.of("strings"), Unit::Nanos, measured.ratio("strings", "ordered"))
        .print();
    Row::new("the same, paths in no order", GOAL, Unit::Nanos.show(measured.of("without order"))).print();
}
