//! What several tests need.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
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
    let mut module = ModuleInfo { build_id: build_id(&path), path, is_program: true, bias: range.start, range };
    change(&mut module);
    ModuleMap::new(vec![Arc::new(module)])
}

/// The one that stands in the file.
pub(super) fn build_id(path: &Path) -> Option<Box<[u8]>> {
    ElfFile::open(path, &PageCache::new(1 << 20)).unwrap().build_id
}

/// A library, which stands for all that the user did not write.
const LIBRARY: &str = "
#[inline(never)]
pub fn work(x: u64) -> u64 {
    std::hint::black_box(x) + 2
}
";

/// Says where its functions are: an instruction of `price` inlined into `load`, and one of the library.
const PROGRAM: &str = r#"
pub mod orders {
    #[inline(always)]
    fn price(x: u64, at: &mut u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        unsafe { std::arch::asm!("lea {}, [rip]", out(reg) *at) };
        #[cfg(target_arch = "aarch64")]
        unsafe { std::arch::asm!("adr {}, .+4", out(reg) *at) };
        std::hint::black_box(x) * 3
    }

    #[inline(never)]
    pub fn load(x: u64, at: &mut u64) -> u64 {
        price(x, at) + 1
    }
}

fn main() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let base = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let mut at = 0;
    std::hint::black_box(orders::load(std::hint::black_box(1), &mut at) + library::work(2));
    println!("{} {}", at - 1 - base, library::work as *const () as u64 - base);
}
"#;

/// What the loader adds to the addresses of a built program, as far as the tests are concerned.
pub(super) const BIAS: u64 = 0x5555_0000_0000;

/// A program that was built for a test, and where its functions are in memory.
pub(super) struct Built {
    pub(super) folder: tempfile::TempDir,
    pub(super) program: PathBuf,
    /// Within `shop::orders::price`, which is inlined into `shop::orders::load`.
    pub(super) inlined: u64,
    /// Within `library::work`.
    pub(super) library: u64,
}

impl Built {
    pub(super) fn map(&self) -> ModuleMap {
        let range = BIAS..BIAS + std::fs::metadata(&self.program).unwrap().len() * 2;
        let path = self.program.clone();
        let build_id = build_id(&path);
        ModuleMap::new(vec![Arc::new(ModuleInfo { path, is_program: false, bias: BIAS, range, build_id })])
    }
}

/// Builds the program as a user would, with `options` for it and `for_library` for its library. All builds have the
/// build id that `id` says, in hex.
pub(super) fn build_with(options: &[&str], for_library: &[&str], id: &str) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("library.rs"), LIBRARY).unwrap();
    std::fs::write(path("shop.rs"), PROGRAM).unwrap();
    compile(folder.path(), &[&["--crate-type=rlib", "library.rs"], for_library].concat());
    let id = format!("-Clink-arg=-Wl,--build-id=0x{id}");
    compile(
        folder.path(),
        &[&["--extern=library=liblibrary.rlib", "--crate-type=bin", &id, "shop.rs"], options].concat(),
    );
    let told = std::process::Command::new(path("shop")).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let mut places = told.split_ascii_whitespace().map(|place| place.parse::<u64>().unwrap() + BIAS);
    let (inlined, library) = (places.next().unwrap(), places.next().unwrap());
    Built { program: path("shop"), folder, inlined, library }
}

/// One that has the same options all over.
pub(super) fn build(options: &[&str]) -> Built {
    let for_library = options.iter().copied().filter(|option| option.starts_with("-Cdebuginfo")).collect::<Vec<_>>();
    build_with(options, &for_library, "0102030405060708")
}

fn compile(folder: &Path, options: &[&str]) {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = std::process::Command::new(compiler);
    command.current_dir(folder).args(["--edition=2021", "-Copt-level=2", "-Ccodegen-units=1"]).args(options);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
}
