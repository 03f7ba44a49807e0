//! Which parts an ELF file has, without reading them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;

use addr2line::gimli::SectionId;
use flate2::{Decompress, FlushDecompress, Status};

use super::pages::{PageCache, PagedFile};
use super::reader::Reader;
use super::sections::{self, Entry};
use crate::model::native::build_id_in;

/// The head of a packed section: how u32, nothing u32, the unpacked length u64, its alignment u64.
const PACKED_HEAD: u64 = 24;
const ZLIB: u64 = 1;
/// A link to a file with debug information, and notes, are not longer; what says so is broken.
const LONGEST_SMALL: u64 = 64 << 10;

/// A part of the file.
#[derive(Debug)]
struct Section {
    name: Box<str>,
    offset: u64,
    size: u64,
    /// How long it is when unpacked, where it is packed by zlib.
    unpacked: Option<u64>,
    /// Packed in a way that we cannot read (zstd).
    is_unreadable: bool,
}

/// An open ELF file.
#[derive(Debug)]
pub(super) struct ElfFile {
    file: Rc<PagedFile>,
    sections: Vec<Section>,
    pub(super) build_id: Option<Box<[u8]>>,
    /// Name and checksum of the file that the debug information was moved to.
    pub(super) debug_link: Option<(Box<str>, u32)>,
}

/// Unpacked sections stay in memory whole: no more than `left` bytes of them.
#[derive(Debug)]
pub(super) struct UnpackBudget {
    pub(super) left: usize,
    /// A section was left out, because there was no room for it.
    pub(super) is_exceeded: bool,
}

impl UnpackBudget {
    pub(super) fn of(left: usize) -> Self {
        Self { left, is_exceeded: false }
    }
}

impl ElfFile {
    /// Opens `path`; `None` where there is no 64-bit little-endian ELF file.
    pub(super) fn open(path: &Path, pages: &Rc<PageCache>) -> Option<Self> {
        // A fifo or a device under that name must not block us.
        if !std::fs::metadata(path).ok()?.is_file() {
            return None;
        }
        Self::of(File::open(path).ok()?, pages)
    }

    fn of(file: File, pages: &Rc<PageCache>) -> Option<Self> {
        let length = file.metadata().ok()?.len();
        let file = PagedFile::new(file, pages.clone());
        let entries = sections::sections(&file)?;
        let small = |entry: &Entry| small(&file, entry);
        let notes = entries.iter().filter(|entry| entry.kind == sections::NOTES);
        let build_id = notes.filter_map(small).find_map(|notes| build_id_in(&notes));
        let link = entries.iter().find(|entry| &*entry.name == ".gnu_debuglink");
        let debug_link = link.and_then(small).and_then(|link| debug_link(&link));
        // Without bits in this file: what `objcopy --only-keep-debug` leaves of the code.
        let present = entries.iter().filter(|entry| entry.kind != sections::NOT_IN_THE_FILE);
        let sections = present.map(|entry| section_of(&file, entry, length)).collect();
        Some(Self { file, sections, build_id, debug_link })
    }

    /// Whether the section has any bytes.
    pub(super) fn has(&self, name: &str) -> bool {
        self.section(name).is_some_and(|section| section.size > 0)
    }

    /// Whether the section is packed in a way that we cannot read.
    pub(super) fn is_unreadable(&self, name: &str) -> bool {
        self.section(name).is_some_and(|section| section.is_unreadable)
    }

    /// The section as gimli reads it; empty where there is none, or none that we can read within `budget`.
    pub(super) fn reader(&self, id: SectionId, is_split: bool, budget: &mut UnpackBudget) -> Reader {
        let name = if is_split { id.dwo_name() } else { Some(id.name()) };
        name.and_then(|name| self.section(name))
            .filter(|section| !section.is_unreadable)
            .and_then(|section| self.reader_of(section, budget))
            .unwrap_or_else(Reader::empty)
    }

    /// Where a section lies in the file, for those that are never packed.
    pub(super) fn place(&self, name: &str) -> Option<(Rc<PagedFile>, u64, u64)> {
        let section = self.section(name).filter(|section| section.unpacked.is_none() && !section.is_unreadable)?;
        Some((self.file.clone(), section.offset, section.size))
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| &*section.name == name)
    }

    fn reader_of(&self, section: &Section, budget: &mut UnpackBudget) -> Option<Reader> {
        let Some(length) = section.unpacked else {
            return Some(Reader::of_file(self.file.clone(), section.offset, section.size));
        };
        let length = usize::try_from(length).ok().filter(|length| *length <= budget.left);
        budget.is_exceeded |= length.is_none();
        let length = length?;
        let bytes = unpack(&self.file, section.offset, section.size, length).ok()?;
        budget.left -= length;
        Some(Reader::of_memory(bytes.into()))
    }
}

fn small(file: &PagedFile, entry: &Entry) -> Option<Vec<u8>> {
    let length = usize::try_from(Some(entry.size).filter(|size| *size <= LONGEST_SMALL)?).ok()?;
    sections::bytes(file, entry.offset, length)
}

fn section_of(file: &PagedFile, entry: &Entry, file_length: u64) -> Section {
    let mut section = Section {
        name: entry.name.clone(),
        offset: entry.offset,
        size: entry.size,
        unpacked: None,
        // A file that was cut short.
        is_unreadable: entry.offset.saturating_add(entry.size) > file_length,
    };
    if entry.flags & sections::COMPRESSED != 0 {
        let unpacked = unpacked_length(file, entry).filter(|_| entry.size >= PACKED_HEAD);
        section.offset = entry.offset.saturating_add(PACKED_HEAD);
        section.size = entry.size.saturating_sub(PACKED_HEAD);
        section.is_unreadable |= unpacked.is_none();
        section.unpacked = unpacked;
    }
    section
}

/// `None` where it is packed by something other than zlib.
fn unpacked_length(file: &PagedFile, entry: &Entry) -> Option<u64> {
    let head = sections::bytes(file, entry.offset, PACKED_HEAD as usize)?;
    (sections::number(&head, 0, 4)? == ZLIB).then(|| sections::number(&head, 8, 8))?
}

/// A name that ends with a zero, filled up to four bytes, then the checksum.
fn debug_link(data: &[u8]) -> Option<(Box<str>, u32)> {
    let end = data.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(data.get(..end)?).ok()?;
    let sum = data.get((end + 1).next_multiple_of(4)..)?.first_chunk()?;
    Some((name.into(), u32::from_le_bytes(*sum)))
}

fn unpack(file: &PagedFile, mut offset: u64, mut size: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::with_capacity(length);
    let mut state = Decompress::new(true);
    while unpacked.len() < length && size > 0 {
        let used = file.with_page(offset, |page| {
            let page = page.get(..page.len().min(usize::try_from(size).unwrap_or(usize::MAX))).unwrap_or_default();
            let before = state.total_in();
            let status = state.decompress_vec(page, &mut unpacked, FlushDecompress::None)?;
            let used = state.total_in() - before;
            Ok::<_, io::Error>(if status == Status::StreamEnd { size } else { used })
        })??;
        if used == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        offset += used;
        size = size.saturating_sub(used);
    }
    if unpacked.len() == length { Ok(unpacked) } else { Err(io::ErrorKind::InvalidData.into()) }
}
