//! The table of contents of an ELF file.

use std::rc::Rc;

use super::pages::PagedFile;

/// `\x7fELF`, 64 bit, little-endian.
const START: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
/// The file's header: where the table lies, how long an entry is, how many there are, which one has the names.
const HEADER: usize = 64;
const TABLE_AT: usize = 40;
const ENTRY_LENGTH_AT: usize = 58;
const COUNT_AT: usize = 60;
const NAMES_AT: usize = 62;
/// An entry: name u32, kind u32, flags u64, address u64, offset u64, size u64, link u32, and what is not needed here.
const ENTRY: u64 = 64;
/// The entry of the names, where its number is too large for the header: then the first entry has it as its link.
const NAMES_ELSEWHERE: u64 = 0xffff;
/// More sections than any linker makes: a file that says so is broken.
const MOST: u64 = 1 << 20;
/// Longer than any section's name.
const LONGEST_NAME: u64 = 256;

/// The kinds of section that matter.
pub(super) const NOTES: u32 = 7;
pub(super) const NOT_IN_THE_FILE: u32 = 8;
/// The flag of a packed section.
pub(super) const COMPRESSED: u64 = 0x800;

/// A part of the file, as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Box<str>,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// All sections of `file`; `None` where it is no 64-bit little-endian ELF file, or a broken one.
pub(super) fn sections(file: &Rc<PagedFile>) -> Option<Vec<Entry>> {
    let header = bytes(file, 0, HEADER)?;
    if header.get(..START.len())? != START || number(&header, ENTRY_LENGTH_AT, 2)? != ENTRY {
        return None;
    }
    let table = number(&header, TABLE_AT, 8)?;
    let first = entry(file, table)?;
    let count = match number(&header, COUNT_AT, 2)? {
        0 => first.size,
        count => count,
    };
    let names = match number(&header, NAMES_AT, 2)? {
        NAMES_ELSEWHERE => first.link,
        names => names,
    };
    let names = entry(file, table.checked_add(names.checked_mul(ENTRY)?)?)?;
    let places = (0..count).map(|at| table.checked_add(at.checked_mul(ENTRY)?));
    (count <= MOST).then(|| places.map(|at| named(file, &entry(file, at?)?, &names)).collect())?
}

/// Up to eight bytes, the lowest first.
pub(super) fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

pub(super) fn bytes(file: &PagedFile, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(offset, &mut bytes).ok()?;
    Some(bytes)
}

/// An entry before its name is known.
struct Unnamed {
    name: u64,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u64,
}

fn entry(file: &PagedFile, at: u64) -> Option<Unnamed> {
    let bytes = bytes(file, at, ENTRY as usize)?;
    Some(Unnamed {
        name: number(&bytes, 0, 4)?,
        kind: u32::try_from(number(&bytes, 4, 4)?).ok()?,
        flags: number(&bytes, 8, 8)?,
        offset: number(&bytes, 24, 8)?,
        size: number(&bytes, 32, 8)?,
        link: number(&bytes, 40, 4)?,
    })
}

fn named(file: &PagedFile, entry: &Unnamed, names: &Unnamed) -> Option<Entry> {
    let at = names.offset.checked_add(entry.name)?;
    let length = file.find(at, names.size.checked_sub(entry.name)?.min(LONGEST_NAME), 0).ok()??;
    let name = bytes(file, at, usize::try_from(length).ok()?)?;
    let &Unnamed { kind, flags, offset, size, .. } = entry;
    Some(Entry { name: String::from_utf8_lossy(&name).into(), kind, flags, offset, size })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::super::pages::PageCache;
    use super::*;

    fn paged(contents: &[u8]) -> Rc<PagedFile> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        file.rewind().unwrap();
        PagedFile::new(file, PageCache::new(1 << 20))
    }

    fn program() -> Vec<u8> {
        // Tests run from a program of the format that is read here.
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn the_sections_of_the_test_program_are_all_there() {
        let sections = sections(&paged(&program())).unwrap();
        let find = |name: &str| sections.iter().find(|section| &*section.name == name).unwrap();
        assert!(find(".text").size > 100_000 && find(".debug_info").size > 100_000);
        assert_eq!(find(".note.gnu.build-id").kind, NOTES);
        assert_eq!(find(".bss").kind, NOT_IN_THE_FILE);
    }

    #[test]
    fn what_is_no_elf_file_or_cut_short_has_none() {
        let program = program();
        assert_eq!(sections(&paged(b"#!/bin/sh\n")), None);
        assert_eq!(sections(&paged(&program[..HEADER])), None);
        let mut wide = program[..HEADER].to_vec();
        wide[TABLE_AT..TABLE_AT + 8].fill(0xff);
        assert_eq!(sections(&paged(&wide)), None);
        // The table lies at the end.
        assert_eq!(sections(&paged(&program[..program.len() - 1])), None);
    }
}
