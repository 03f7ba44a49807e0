//! The code that is mapped into the process, with the tables to unwind it.
//!
//! Read by the agent's threads only, through `dl_iterate_phdr`, which holds the loader's lock while it calls back: a
//! module cannot go away meanwhile. The tables of the executable are used where they are, since it is never unloaded;
//! those of shared libraries are copied, so that a later `dlclose` leaves nothing dangling and is not prevented either.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::native::{ModuleInfo, ModuleMap, build_id_in};

/// `.eh_frame_hdr`: version 1, the pointer to `.eh_frame` relative to itself in 4 bytes. All linkers write it so.
const HEADER_START: [u8; 2] = [1, 0x1b];
/// Where that pointer stands.
const POINTER_AT: usize = 4;
/// Tables of one library at most; the largest known (a browser's engine) have some 20 MiB.
const MAX_COPY: usize = 32 << 20;

/// Bytes of a table, in the executable or copied.
#[derive(Debug, Clone)]
pub(super) enum Table {
    Mapped(&'static [u8]),
    Copied(Arc<[u8]>),
}

impl Default for Table {
    fn default() -> Self {
        Self::Mapped(&[])
    }
}

impl Deref for Table {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

/// What an unwinder needs of a module; addresses are in memory.
#[derive(Debug, Clone)]
pub(super) struct UnwindTables {
    pub(super) module: Arc<ModuleInfo>,
    pub(super) header: Table,
    pub(super) header_at: Range<u64>,
    pub(super) frames: Table,
    pub(super) frames_at: Range<u64>,
}

/// How often modules were added and removed so far; any change means that a scan would find something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LoadStamp {
    added: u64,
    removed: u64,
}

/// Reads only the stamp.
pub(super) fn stamp() -> LoadStamp {
    let mut stamp = LoadStamp::default();
    each_module(&mut |info| {
        stamp = LoadStamp { added: info.dlpi_adds, removed: info.dlpi_subs };
        Next::Stop
    });
    stamp
}

/// Everything that is mapped, and the tables of all that has any.
pub(super) fn scan() -> (LoadStamp, ModuleMap, Vec<UnwindTables>) {
    let executable = std::env::current_exe().map(without_mark).unwrap_or_default();
    let (mut stamp, mut modules, mut tables) = (LoadStamp::default(), Vec::new(), Vec::new());
    each_module(&mut |info| {
        stamp = LoadStamp { added: info.dlpi_adds, removed: info.dlpi_subs };
        let Some(image) = Image::read(info, &executable) else { return Next::Go };
        let module = Arc::new(image.info());
        modules.push(module.clone());
        tables.extend(image.tables(module));
        Next::Go
    });
    (stamp, ModuleMap::new(modules), tables)
}

/// The kernel marks the name of a file that is gone, as a program's is that was replaced while it runs.
fn without_mark(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => path.into(),
        None => path,
    }
}

enum Next {
    Go,
    Stop,
}

/// Calls `each` for every module, the executable first, with the loader's lock held.
fn each_module(each: &mut dyn FnMut(&libc::dl_phdr_info) -> Next) {
    unsafe extern "C" fn call(info: *mut libc::dl_phdr_info, _size: usize, data: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `data` is the pointer made below, to a closure that outlives the iteration and is used by nobody else.
        let each = unsafe { &mut *data.cast::<&mut dyn FnMut(&libc::dl_phdr_info) -> Next>() };
        // SAFETY: the loader passes a valid entry, for the time of this call.
        let next = each(unsafe { &*info });
        libc::c_int::from(matches!(next, Next::Stop))
    }
    let mut each = each;
    // SAFETY: `call` has the signature that is asked for and gets the pointer that it expects. It does not unwind: the
    // closures in this file do not panic, and an `extern "C"` function would abort rather than unwind into the loader.
    unsafe { libc::dl_iterate_phdr(Some(call), (&raw mut each).cast()) };
}

/// The kernel tells where the executable's headers are. Its name is empty, but not with every C library.
fn is_executable(info: &libc::dl_phdr_info, name: &str) -> bool {
    // SAFETY: takes a number, and gives one.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) };
    if headers == 0 { name.is_empty() } else { u64::try_from(info.dlpi_phdr.addr()) == Ok(headers) }
}

/// One module as the loader describes it.
struct Image<'a> {
    path: PathBuf,
    is_executable: bool,
    bias: u64,
    headers: &'a [libc::Elf64_Phdr],
}

impl<'a> Image<'a> {
    fn read(info: &'a libc::dl_phdr_info, executable: &std::path::Path) -> Option<Self> {
        if info.dlpi_phdr.is_null() || info.dlpi_name.is_null() {
            return None;
        }
        // SAFETY: the loader gives the module's program headers, as many as it says, mapped while it holds its lock.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        // SAFETY: a NUL-terminated string that the loader owns and keeps while it holds its lock.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) }.to_string_lossy();
        let is_executable = is_executable(info, &name);
        let path = if is_executable { executable.into() } else { PathBuf::from(&*name) };
        Some(Self { path, is_executable, bias: info.dlpi_addr, headers })
    }

    fn info(&self) -> ModuleInfo {
        let loaded = self.segments(libc::PT_LOAD);
        let start = loaded.clone().map(|segment| segment.start).min().unwrap_or(0);
        let end = loaded.map(|segment| segment.end).max().unwrap_or(0);
        ModuleInfo {
            path: self.path.clone(),
            is_program: self.is_executable,
            bias: self.bias,
            range: start..end,
            build_id: self.build_id(),
        }
    }

    /// Where the segments of this kind are in memory.
    fn segments(&self, kind: u32) -> impl Iterator<Item = Range<u64>> + Clone + '_ {
        self.headers.iter().filter(move |header| header.p_type == kind).map(|header| {
            let start = self.bias.wrapping_add(header.p_vaddr);
            start..start.saturating_add(header.p_memsz)
        })
    }

    /// The bytes of a range that lies within one loaded, readable segment.
    fn bytes(&self, range: Range<u64>) -> Option<&'a [u8]> {
        let readable =
            self.headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_R != 0);
        let is_loaded = readable.clone().any(|header| {
            let start = self.bias.wrapping_add(header.p_vaddr);
            // Up to the file's part: what follows is zeroes, and no table is there.
            start <= range.start && range.end <= start.saturating_add(header.p_filesz)
        });
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        let length = end.checked_sub(start)?;
        // SAFETY: the range lies in a segment that the loader has mapped readable, and it is not unmapped while the
        // loader's lock is held; the callers copy what they keep, but for the executable, which stays. Nothing writes to
        // the parts that are read here (notes and unwinding tables) once relocations are done.
        is_loaded.then(|| unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(start), length) })
    }

    /// The loaded segment that `address` is in, from there to its end.
    fn rest_of_segment(&self, address: u64) -> Option<Range<u64>> {
        let end = |header: &libc::Elf64_Phdr| self.bias.wrapping_add(header.p_vaddr).saturating_add(header.p_filesz);
        let mut loaded = self.headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let header =
            loaded.find(|header| self.bias.wrapping_add(header.p_vaddr) <= address && address < end(header))?;
        Some(address..end(header))
    }

    fn build_id(&self) -> Option<Box<[u8]>> {
        self.segments(libc::PT_NOTE).find_map(|range| build_id_in(self.bytes(range)?))
    }

    fn tables(&self, module: Arc<ModuleInfo>) -> Option<UnwindTables> {
        let header_at = self.segments(libc::PT_GNU_EH_FRAME).next()?;
        let header = self.bytes(header_at.clone())?;
        if header.get(..2)? != HEADER_START {
            return None;
        }
        let offset = i32::from_le_bytes(header.get(POINTER_AT..POINTER_AT + 4)?.try_into().ok()?);
        let start = header_at.start.wrapping_add(POINTER_AT as u64).wrapping_add_signed(offset.into());
        let rest = self.bytes(self.rest_of_segment(start)?)?;
        let frames = rest.get(..length_of_frames(rest))?;
        let frames_at = start..start.saturating_add(frames.len() as u64);
        let (header, frames) = (self.table(header)?, self.table(frames)?);
        Some(UnwindTables { module, header, header_at, frames, frames_at })
    }

    fn table(&self, bytes: &'a [u8]) -> Option<Table> {
        if !self.is_executable {
            return (bytes.len() <= MAX_COPY).then(|| Table::Copied(bytes.into()));
        }
        // SAFETY: `bytes` lies in the executable's image, which is mapped until the process ends.
        Some(Table::Mapped(unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }))
    }
}

/// The length of an `.eh_frame` section at the start of `bytes`: its entries up to the one of length zero.
fn length_of_frames(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = word(bytes, at) {
        // All ones: a length of 8 bytes follows, which no compiler writes into this section.
        if length == 0 || length == u32::MAX {
            return at + 4;
        }
        at += 4 + length as usize;
    }
    at.min(bytes.len())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_executable_is_found_with_its_tables_and_build_id() {
        let (_, map, tables) = scan();
        let own = the_executable_is_found_with_its_tables_and_build_id as *const () as u64;
        let module = map.find(own).unwrap();
        assert_eq!(module.path, std::env::current_exe().unwrap());
        assert_eq!(map.modules().iter().filter(|module| module.is_program).collect::<Vec<_>>(), [module]);
        let tables = tables.iter().find(|tables| tables.module == *module).unwrap();
        assert!(matches!(tables.frames, Table::Mapped(_)));
        assert!(tables.frames.len() > 10_000, "{}", tables.frames.len());
    }

    #[test]
    fn the_mark_of_a_deleted_program_is_no_part_of_its_name() {
        assert_eq!(without_mark("/srv/shop (deleted)".into()), Path::new("/srv/shop"));
        assert_eq!(without_mark("/srv/shop".into()), Path::new("/srv/shop"));
    }

    #[test]
    fn libraries_are_found_with_copied_tables() {
        let (_, map, tables) = scan();
        let libc = map.modules().iter().find(|module| module.path.to_string_lossy().contains("libc.so")).unwrap();
        assert!(libc.build_id.as_ref().is_some_and(|id| id.len() >= 16), "{libc:?}");
        let tables = tables.iter().find(|tables| tables.module == *libc).unwrap();
        assert!(matches!(tables.frames, Table::Copied(_)) && tables.frames.len() > 1_000);
    }

    #[test]
    fn broken_tables_end_the_search() {
        assert_eq!(length_of_frames(&[]), 0);
        assert_eq!(length_of_frames(&[200, 0, 0, 0, 1]), 5);
        assert_eq!(length_of_frames(&[4, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0, 7]), 12);
    }

    #[test]
    fn the_stamp_is_the_same_until_something_is_loaded() {
        assert_eq!(stamp(), scan().0);
    }
}
