//! Frames: what stands on a trace's stack, as small numbers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// Names a frame. Below [`FrameId::FIRST_OWN`] it indexes the process-wide [`NameTable`]; from there on it
/// indexes the table of one trace (call labels and the root's name, which are different in each trace).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FrameId(pub(crate) u32);

impl FrameId {
    /// Stands for every name that found no room in the [`NameTable`].
    pub(crate) const OTHER: Self = Self(0);
    /// The task waits.
    pub(crate) const SLEEP: Self = Self(1);
    /// The task was woken and waits for a worker.
    pub(crate) const QUEUE: Self = Self(2);
    /// The client takes its time to read a response body.
    pub(crate) const PEER: Self = Self(3);
    /// The first id of a trace's own table.
    pub(crate) const FIRST_OWN: u32 = 1 << 31;
}

/// The names of the reserved ids, in their order.
const RESERVED: [&str; 4] = ["(other)", "SLEEP", "QUEUE", "PEER"];

/// Where a function stands in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// As the compiler was given it; never empty.
    pub(crate) file: Arc<str>,
    /// From 1; 0 where only the file is known.
    pub(crate) line: u32,
}

/// What a reader sees of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedFrame {
    /// Two frames of one name are one to a reader.
    pub(crate) name: Arc<str>,
    /// Known of native frames and of spans.
    pub(crate) source: Option<Source>,
}

impl From<Arc<str>> for NamedFrame {
    fn from(name: Arc<str>) -> Self {
        Self { name, source: None }
    }
}

impl From<&str> for NamedFrame {
    fn from(name: &str) -> Self {
        Arc::<str>::from(name).into()
    }
}

impl From<String> for NamedFrame {
    fn from(name: String) -> Self {
        Arc::<str>::from(name).into()
    }
}

/// Names at most: source code has thousands of `frame!` sites, not tens of thousands. Dynamic names share it.
const MAX_NAMES: usize = 65_536;
/// Bytes of names, and of the files that they are from, at most.
const MAX_BYTES: usize = 4 << 20;

/// Interns frame names for the life of the process; bounded, so past its limits a name becomes `(other)`.
#[derive(Debug)]
pub(crate) struct NameTable(RwLock<Names>);

#[derive(Debug)]
struct Names {
    by_name: HashMap<Arc<str>, FrameId>,
    by_id: Vec<NamedFrame>,
    /// One text for all the names of a file.
    files: HashSet<Arc<str>>,
    bytes: usize,
}

impl Default for NameTable {
    fn default() -> Self {
        let mut names = Names { by_name: HashMap::new(), by_id: Vec::new(), files: HashSet::new(), bytes: 0 };
        for name in RESERVED {
            names.insert(name);
        }
        Self(RwLock::new(names))
    }
}

impl NameTable {
    /// The id of `name`; [`FrameId::OTHER`] once the table is full.
    pub(crate) fn intern(&self, name: &str) -> FrameId {
        if let Some(id) = self.0.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name) {
            return *id;
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).find_or_insert(name)
    }

    /// As [`NameTable::intern`], of a name whose source is known. The first source of a name stays; a file that
    /// finds no room is left out.
    #[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "spans know their source when they open"))]
    pub(crate) fn intern_at(&self, name: &str, file: &str, line: u32) -> FrameId {
        if let Some(id) = self.with_source(name) {
            return id;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let id = names.find_or_insert(name);
        if id != FrameId::OTHER {
            names.set_source(id, file, line);
        }
        id
    }

    fn with_source(&self, name: &str) -> Option<FrameId> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let id = *names.by_name.get(name)?;
        names.by_id.get(to_index(id))?.source.as_ref().map(|_| id)
    }

    /// What a reader sees of `id`.
    pub(crate) fn frame(&self, id: FrameId) -> NamedFrame {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.by_id.get(to_index(id)).cloned().unwrap_or_else(|| RESERVED[0].into())
    }
}

impl Names {
    fn find_or_insert(&mut self, name: &str) -> FrameId {
        match self.by_name.get(name) {
            Some(id) => *id,
            None => self.insert(name),
        }
    }

    fn insert(&mut self, name: &str) -> FrameId {
        if self.by_id.len() >= MAX_NAMES || self.bytes + name.len() > MAX_BYTES {
            return FrameId::OTHER;
        }
        let Ok(index) = u32::try_from(self.by_id.len()) else { return FrameId::OTHER };
        let name: Arc<str> = name.into();
        self.bytes += name.len();
        self.by_id.push(name.clone().into());
        self.by_name.insert(name, FrameId(index));
        FrameId(index)
    }

    fn set_source(&mut self, id: FrameId, file: &str, line: u32) {
        let is_open = self.by_id.get(to_index(id)).is_some_and(|frame| frame.source.is_none());
        let Some(file) = is_open.then(|| self.file(file)).flatten() else { return };
        if let Some(frame) = self.by_id.get_mut(to_index(id)) {
            frame.source = Some(Source { file, line });
        }
    }

    fn file(&mut self, file: &str) -> Option<Arc<str>> {
        if let Some(known) = self.files.get(file) {
            return Some(known.clone());
        }
        if file.is_empty() || self.bytes + file.len() > MAX_BYTES {
            return None;
        }
        let file: Arc<str> = file.into();
        self.bytes += file.len();
        self.files.insert(file.clone());
        Some(file)
    }
}

fn to_index(id: FrameId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id_and_the_reserved_ones_are_theirs() {
        let table = NameTable::default();
        let id = table.intern("load");
        assert_eq!(table.intern("load"), id);
        assert_eq!(&*table.frame(id).name, "load");
        assert_eq!(table.intern("SLEEP"), FrameId::SLEEP);
        assert_eq!(&*table.frame(FrameId::PEER).name, "PEER");
    }

    #[test]
    fn a_name_keeps_the_first_source_that_becomes_known() {
        let table = NameTable::default();
        let id = table.intern("load");
        assert_eq!(table.frame(id).source, None);
        assert_eq!(table.intern_at("load", "src/load.rs", 7), id);
        assert_eq!(table.intern_at("load", "src/other.rs", 9), id);
        let other = table.intern_at("store", "src/load.rs", 30);
        let (load, store) = (table.frame(id).source.unwrap(), table.frame(other).source.unwrap());
        assert_eq!((&*load.file, load.line), ("src/load.rs", 7));
        assert!(Arc::ptr_eq(&load.file, &store.file), "one text for both");
    }

    #[test]
    fn a_file_without_room_is_left_out_and_a_name_without_room_has_none() {
        let table = NameTable::default();
        table.intern(&"x".repeat(MAX_BYTES - 100));
        let id = table.intern_at("load", &"y".repeat(200), 1);
        assert_eq!(table.frame(id), "load".into());
        assert_eq!(table.intern_at(&"z".repeat(200), "z.rs", 1), FrameId::OTHER);
        assert_eq!(table.frame(FrameId::OTHER).source, None);
    }

    #[test]
    fn past_the_limit_names_share_one_id() {
        let table = NameTable::default();
        table.intern(&"x".repeat(MAX_BYTES - 100));
        assert_eq!(table.intern(&"y".repeat(200)), FrameId::OTHER);
        assert_eq!(&*table.frame(FrameId(u32::MAX)).name, "(other)");
    }
}
