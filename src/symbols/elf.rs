//! Which parts an ELF file has, without reading them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;

use addr2line::gimli::SectionId;
use flate2::{Decompress, FlushDecompress, Status};
use object::elf;
use object::read::ReadCache;
use object::read::elf::{CompressionHeader as _, FileHeader as _, SectionHeader as _};
use object::{Endianness, ReadRef as _};

use super::pages::{PageCache, PagedFile};
use super::reader::Reader;

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
        let cache = ReadCache::new(&file);
        let header = elf::FileHeader64::<Endianness>::parse(&cache).ok()?;
        let endian = header.endian().ok().filter(|endian| *endian == Endianness::Little)?;
        let table = header.sections(endian, &cache).ok()?;
        let mut found = Found::default();
        for section in table.iter() {
            let name = String::from_utf8_lossy(table.section_name(endian, section).ok()?).into_owned();
            found.add(&name, section, endian, &cache);
        }
        let Found { sections, build_id, debug_link } = found;
        drop(cache);
        Some(Self { file: PagedFile::new(file, pages.clone()), sections, build_id, debug_link })
    }

    /// Whether the section has any bytes.
    pub(super) fn has(&self, name: &str) -> bool {
        self.section(name).is_some_and(|section| section.size > 0)
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
        let length = usize::try_from(length).ok().filter(|length| *length <= budget.left)?;
        let bytes = unpack(&self.file, section.offset, section.size, length).ok()?;
        budget.left -= length;
        Some(Reader::of_memory(bytes.into()))
    }
}

#[derive(Default)]
struct Found {
    sections: Vec<Section>,
    build_id: Option<Box<[u8]>>,
    debug_link: Option<(Box<str>, u32)>,
}

impl Found {
    fn add(
        &mut self,
        name: &str,
        section: &elf::SectionHeader64<Endianness>,
        endian: Endianness,
        data: &ReadCache<&File>,
    ) {
        if name == ".gnu_debuglink" {
            self.debug_link = debug_link(section.data(endian, data).unwrap_or_default());
        }
        if section.sh_type(endian) == elf::SHT_NOTE && self.build_id.is_none() {
            self.build_id = build_id(section, endian, data);
        }
        // Without bits in this file: what `objcopy --only-keep-debug` leaves of the code.
        if section.sh_type(endian) != elf::SHT_NOBITS {
            self.sections.push(section_of(name, section, endian, data));
        }
    }
}

fn section_of(
    name: &str,
    section: &elf::SectionHeader64<Endianness>,
    endian: Endianness,
    data: &ReadCache<&File>,
) -> Section {
    let (mut offset, mut size) = (section.sh_offset(endian), section.sh_size(endian));
    let (mut unpacked, mut is_unreadable) = (None, false);
    match section.compression(endian, data) {
        Ok(None) => {}
        Ok(Some((header, at, packed))) if header.ch_type(endian) == elf::ELFCOMPRESS_ZLIB => {
            (offset, size, unpacked) = (at, packed, Some(header.ch_size(endian)));
        }
        Ok(Some(_)) | Err(_) => is_unreadable = true,
    }
    // A file that was cut short.
    is_unreadable |= data.len().is_ok_and(|length| offset.saturating_add(size) > length);
    Section { name: name.into(), offset, size, unpacked, is_unreadable }
}

fn build_id(
    section: &elf::SectionHeader64<Endianness>,
    endian: Endianness,
    data: &ReadCache<&File>,
) -> Option<Box<[u8]>> {
    let mut notes = section.notes(endian, data).ok()??;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
            return Some(note.desc().into());
        }
    }
    None
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
