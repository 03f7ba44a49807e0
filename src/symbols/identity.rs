//! Whether a file on disk is the one that was mapped.
//!
//! A deployment may replace the program while it runs. The file under its name then has other functions at the same
//! addresses, and a wrong name is worse than none.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use super::elf::ElfFile;
use super::pages::PageCache;
use crate::model::native::ModuleInfo;

/// The running program, also after its file was deleted or replaced.
const RUNNING: &str = "/proc/self/exe";

/// Opens the file that `module` was mapped from; `None` where it is not there any more.
pub(super) fn open(module: &ModuleInfo, pages: &Rc<PageCache>) -> Option<ElfFile> {
    let path = if module.is_program { Path::new(RUNNING) } else { &*module.path };
    let file = ElfFile::open(path, pages)?;
    let is_same = match &module.build_id {
        Some(build_id) => file.build_id.as_ref() == Some(build_id),
        None => file.build_id.is_none() && (module.is_program || is_mapped_from(module)),
    };
    is_same.then_some(file)
}

/// Where there is no build id: by the inode that the kernel says is mapped there.
fn is_mapped_from(module: &ModuleInfo) -> bool {
    let (Some(on_disk), Ok(maps)) = (inode(&module.path), fs::read_to_string("/proc/self/maps")) else {
        return false;
    };
    maps.lines().find_map(|line| mapped_inode(line, module.range.start)) == Some(on_disk)
}

#[cfg(unix)]
fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(fs::metadata(path).ok()?.ino())
}

#[cfg(not(unix))]
fn inode(_: &Path) -> Option<u64> {
    None
}

/// `start-end permissions offset device inode path`, if `address` is in there.
fn mapped_inode(line: &str, address: u64) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    range.contains(&address).then(|| words.nth(3)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_gives_the_inode() {
        let line = "7f00a000-7f00c000 r-xp 00001000 fe:01 4711                       /lib/x86_64/libc.so.6";
        assert_eq!(mapped_inode(line, 0x7f00_a000), Some(4711));
        assert_eq!(mapped_inode(line, 0x7f00_c000), None);
        assert_eq!(mapped_inode("", 0), None);
    }
}
