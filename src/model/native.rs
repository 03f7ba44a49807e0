//! What native capture and symbols say to each other about code in memory.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The kind of note that is a build id.
const NT_GNU_BUILD_ID: u32 = 3;

/// Where a stack was taken; folding keeps a different tail of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StackKind {
    /// Inside the leaf future that is about to wait.
    Await,
    /// Where the timer's signal found the thread running.
    Cpu,
}

/// The executable or a shared library, as it is mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleInfo {
    /// The file that it was mapped from, by the name that it had then.
    pub(crate) path: PathBuf,
    /// Whether it is the executable.
    pub(crate) is_program: bool,
    /// What the loader added to the file's own addresses.
    pub(crate) bias: u64,
    /// From its first mapped byte to its last, in memory.
    pub(crate) range: Range<u64>,
    /// The GNU build id, where there is one.
    pub(crate) build_id: Option<Box<[u8]>>,
}

/// The modules at one point in time, in the order of their addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ModuleMap(Arc<[Arc<ModuleInfo>]>);

impl ModuleMap {
    /// A map of `modules`, in any order.
    pub(crate) fn new(mut modules: Vec<Arc<ModuleInfo>>) -> Self {
        modules.sort_by_key(|module| module.range.start);
        Self(modules.into())
    }

    /// Whether the two are one: then they are equal, and equal ones may be two.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The module that `address` lies in.
    pub(crate) fn find(&self, address: u64) -> Option<&Arc<ModuleInfo>> {
        let after = self.0.partition_point(|module| module.range.start <= address);
        let module = self.0.get(after.checked_sub(1)?)?;
        module.range.contains(&address).then_some(module)
    }

    /// All of them, lowest address first.
    #[cfg_attr(not(native_capture), allow(dead_code, reason = "what reads modules uses it"))]
    pub(crate) fn modules(&self) -> &[Arc<ModuleInfo>] {
        &self.0
    }
}

/// The GNU build id among an ELF file's `notes`.
pub(crate) fn build_id_in(notes: &[u8]) -> Option<Box<[u8]>> {
    let mut at = 0;
    loop {
        let (name_length, id_length) = (word(notes, at)? as usize, word(notes, at + 4)? as usize);
        let kind = word(notes, at + 8)?;
        let name_at = at + 12;
        let id_at = name_at + name_length.next_multiple_of(4);
        if kind == NT_GNU_BUILD_ID && notes.get(name_at..name_at + 4)? == b"GNU\0" {
            return notes.get(id_at..id_at.checked_add(id_length)?).map(Into::into);
        }
        at = id_at.checked_add(id_length.checked_next_multiple_of(4)?)?;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn module(path: &str, range: Range<u64>) -> Arc<ModuleInfo> {
        Arc::new(ModuleInfo { path: path.into(), is_program: false, bias: range.start, range, build_id: None })
    }

    #[test]
    fn an_address_is_found_in_its_module_and_not_between_two() {
        let map = ModuleMap::new(vec![module("b", 300..400), module("a", 100..200)]);
        assert_eq!(map.find(100).unwrap().path.as_os_str(), "a");
        assert_eq!(map.find(399).unwrap().path.as_os_str(), "b");
        assert!([99, 200, 299, 400].iter().all(|address| map.find(*address).is_none()));
        assert_eq!(map.modules().len(), 2);
    }

    #[test]
    fn a_build_id_is_found_and_broken_notes_end_the_search() {
        assert_eq!(build_id_in(&[255; 40]), None);
        assert_eq!(build_id_in(b"\x04\0\0\0\x02\0\0\0\x03\0\0\0GNU\0ab\0\0").as_deref(), Some(b"ab".as_slice()));
        let two = b"\x04\0\0\0\x04\0\0\0\x05\0\0\0GNU\0abcd\x04\0\0\0\x02\0\0\0\x03\0\0\0GNU\0ef\0\0";
        assert_eq!(build_id_in(two).as_deref(), Some(b"ef".as_slice()));
    }
}
