//! Names by the symbol table: what is left where there is no debug information, or no room for it.

use std::io;

use super::elf::ElfFile;

/// One entry of the table in the file.
const ENTRY: usize = 24;
/// How many entries are read at once.
const AT_ONCE: usize = 512;
/// The tables that a file may have, the better one first, and where their names are.
const TABLES: [(&str, &str); 2] = [(".symtab", ".strtab"), (".dynsym", ".dynstr")];
const FUNCTION: u8 = 2;
const INDIRECT_FUNCTION: u8 = 10;

/// A function's first address, its length (0 where the file does not say), and where its name begins.
#[derive(Debug, Clone, Copy)]
struct Entry {
    address: u64,
    size: u32,
    name: u32,
}

/// The functions of a file, by address. The names stay in the file.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    entries: Vec<Entry>,
    names: &'static str,
    /// A table was left out, because there was no room for it.
    is_short_of_room: bool,
}

impl SymbolTable {
    /// Reads `.symtab`, or what the dynamic linker needs. Empty where neither is there or where it would take more
    /// than `most_bytes`.
    pub(super) fn read(file: &ElfFile, most_bytes: usize) -> Self {
        let mut is_short_of_room = false;
        let read = TABLES.into_iter().find_map(|(table, names)| match entries(file, table, most_bytes) {
            Ok(entries) => (!entries.is_empty()).then_some((entries, names)),
            Err(error) => {
                is_short_of_room |= error.kind() == io::ErrorKind::OutOfMemory;
                None
            }
        });
        let (entries, names) = read.unwrap_or_default();
        Self { entries, names, is_short_of_room }
    }

    /// Whether a table was left out, because there was no room for it.
    pub(super) fn is_short_of_room(&self) -> bool {
        self.is_short_of_room
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Where the functions begin.
    #[cfg(feature = "testing")]
    pub(super) fn addresses(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.address).collect()
    }

    /// The name, as the linker knows it, of the function that `address` of the file lies in.
    pub(super) fn name(&self, file: &ElfFile, address: u64) -> Option<String> {
        let after = self.entries.partition_point(|entry| entry.address <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let is_within = entry.size == 0 || address - entry.address < u64::from(entry.size);
        is_within.then(|| self.read_name(file, entry.name)).flatten()
    }

    fn read_name(&self, file: &ElfFile, at: u32) -> Option<String> {
        let (file, offset, size) = file.place(self.names)?;
        let offset = offset + u64::from(at);
        let length = file.find(offset, size.checked_sub(at.into())?, 0).ok()??;
        let mut name = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(offset, &mut name).ok()?;
        Some(String::from_utf8_lossy(&name).into_owned())
    }
}

fn entries(file: &ElfFile, table: &str, most_bytes: usize) -> io::Result<Vec<Entry>> {
    let (file, offset, size) = file.place(table).ok_or(io::ErrorKind::NotFound)?;
    let mut entries = Vec::new();
    let mut buffer = vec![0; AT_ONCE * ENTRY];
    let end = offset + size / ENTRY as u64 * ENTRY as u64;
    let mut at = offset;
    while at < end {
        let length = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let chunk = buffer.get_mut(..length).unwrap_or_default();
        file.read_exact_at(at, chunk)?;
        entries.extend(chunk.chunks_exact(ENTRY).filter_map(entry));
        if entries.len() * size_of::<Entry>() > most_bytes {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        at += length as u64;
    }
    entries.sort_unstable_by_key(|entry| entry.address);
    entries.shrink_to_fit();
    Ok(entries)
}

/// `Elf64_Sym`: name u32, info u8, other u8, section u16, value u64, size u64.
fn entry(bytes: &[u8]) -> Option<Entry> {
    let (name, rest) = bytes.split_first_chunk()?;
    let (info, rest) = rest.split_first()?;
    let (section, rest) = rest.get(1..)?.split_first_chunk()?;
    let (address, size) = rest.split_first_chunk()?;
    let address = u64::from_le_bytes(*address);
    let size = u64::from_le_bytes(*size.first_chunk()?);
    let is_function = matches!(info & 0xf, FUNCTION | INDIRECT_FUNCTION) && u16::from_le_bytes(*section) != 0;
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    (is_function && address != 0).then_some(Entry { address, size, name: u32::from_le_bytes(*name) })
}
