//! What the symboliser holds, by its own account and by the system's.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::elf::ElfFile;
use super::pages::PageCache;
use super::symbolizer::{SymbolSettings, Symbolizer};
use super::symtab::SymbolTable;
use super::testing::{BIAS, build_id};
use crate::model::native::{ModuleInfo, ModuleMap};

/// `max_symbol_bytes`, as it is when nobody sets it.
const MOST: usize = 64 << 20;
/// Another program than the test's own.
const PROGRAM: &str = "FLAME_ON_MEASURED_PROGRAM";

/// What no other measurement in this process is in: anonymous memory that is resident.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Every function of a program, in an order that jumps through it.
fn functions(path: &Path) -> Vec<u64> {
    let file = ElfFile::open(path, &PageCache::new(MOST)).unwrap();
    let addresses = SymbolTable::read(&file, MOST).addresses();
    let count = addresses.len();
    // No multiple of 7,919 (a prime) meets another until all were met, unless it divides the count.
    (0..count).map(|at| addresses[at * 7_919 % count] + 1).collect()
}

#[test]
#[ignore = "measures"]
#[allow(clippy::print_stdout, reason = "what was measured")]
fn memory_of_a_program_that_is_looked_up_whole() {
    let path = std::env::var_os(PROGRAM).map_or_else(|| std::env::current_exe().unwrap(), PathBuf::from);
    let functions = functions(&path);
    let length = std::fs::metadata(&path).unwrap().len();
    println!("{}: {length} bytes, {} functions", path.display(), functions.len());
    let range = BIAS..BIAS + 2 * length;
    let map = ModuleMap::new(vec![Arc::new(ModuleInfo { build_id: build_id(&path), path, bias: BIAS, range })]);
    let before = resident();
    let mut symbolizer = Symbolizer::alone(SymbolSettings { max_bytes: MOST, debug_file: None });
    let (begun, mut done) = (Instant::now(), 0);
    for upto in [1, 100, 1_000, 5_000, functions.len()] {
        for address in functions.iter().take(upto).skip(done) {
            symbolizer.frames(&map, BIAS + address, Instant::now() + Duration::from_secs(600));
            assert!(symbolizer.bytes() <= MOST, "{} bytes", symbolizer.bytes());
        }
        done = upto;
        let (held, peak) = (symbolizer.bytes() >> 10, symbolizer.peak_bytes() >> 10);
        let grown = resident().saturating_sub(before) >> 10;
        println!("{upto} looked up: {held} KiB held, {peak} at most, resident +{grown} KiB, {:?}", begun.elapsed());
    }
    symbolizer.release_idle();
    println!(
        "released: {} KiB held, resident +{} KiB",
        symbolizer.bytes() >> 10,
        resident().saturating_sub(before) >> 10
    );
    drop(symbolizer);
    println!("dropped: resident +{} KiB", resident().saturating_sub(before) >> 10);
}
