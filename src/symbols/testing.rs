//! What several tests need.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;

use super::elf::ElfFile;
use super::pages::PageCache;
use crate::model::native::{ModuleInfo, ModuleMap};

/// The test program, as the kernel mapped it.
pub(super) fn program(change: impl FnOnce(&mut ModuleInfo)) -> ModuleMap {
    let path = std::env::current_exe().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ours = maps.lines().filter(|line| line.ends_with(path.to_str().unwrap()));
    let ranges = ours.map(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap())
    });
    let ranges = ranges.collect::<Vec<_>>();
    let range = ranges.first().unwrap().0..ranges.last().unwrap().1;
    let mut module = ModuleInfo { build_id: build_id(&path), path, bias: range.start, range };
    change(&mut module);
    ModuleMap::new(vec![Arc::new(module)])
}

/// The one that stands in the file.
pub(super) fn build_id(path: &PathBuf) -> Option<Box<[u8]>> {
    ElfFile::open(path, &PageCache::new(1 << 20)).unwrap().build_id
}
