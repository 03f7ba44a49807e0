//! From a finished tree to pprof bytes.

use std::hint::black_box;

use flame_on::__bench::FinishedTree;
use flame_on::__vectors::PprofProfile;
use prost::Message as _;

use crate::harness::{Case, measure};
use crate::table::{Row, Unit};

/// Chains of 18 frames; each has 1 % of the time, so that the filter, whose lowest limit is 0.5 %, keeps all.
const CHAINS: u32 = 100;

pub fn tree(paths: u32) -> FinishedTree {
    FinishedTree::new(CHAINS, 20, paths / CHAINS, 1_000_000)
}

pub fn print() {
    for (paths, goal) in [(1_000, "–"), (10_000, "≤ 2 ms"), (50_000, "–")] {
        let tree = tree(paths);
        let bytes = tree.filter_and_encode();
        let built = PprofProfile::decode(&*bytes).expect("a pprof file");
        assert_eq!(built.sample.len(), paths as usize, "nothing is filtered out");
        assert!(built.sample.iter().all(|sample| sample.location_id.len() == 20));
        let measured = measure(
            &mut [
                Case::of_loop("ours", || drop(black_box(tree.filter_and_encode()))),
                Case::of_loop("prost", || drop(black_box(built.encode_to_vec()))),
            ],
            (200_000 / u64::from(paths)).max(1),
        );
        let what = format!("filter and pprof bytes, {paths} paths of 20 frames, {} KiB", bytes.len() / 1024);
        Row::new(what, goal, Unit::Micros.show(measured.of("ours")))
            .peer("prost, structs built already:", measured.of("prost"), Unit::Micros, measured.ratio("prost", "ours"))
            .print();
    }
}
