//! Frames: what stands on a trace's stack, as small numbers.

use std::collections::HashMap;
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
    #[expect(dead_code, reason = "reserved for the recording of wakes")]
    pub(crate) const QUEUE: Self = Self(2);
    /// The client takes its time to read a response body.
    pub(crate) const PEER: Self = Self(3);
    /// The first id of a trace's own table.
    pub(crate) const FIRST_OWN: u32 = 1 << 31;
}

/// The names of the reserved ids, in their order.
const RESERVED: [&str; 4] = ["(other)", "SLEEP", "QUEUE", "PEER"];

/// Names at most: source code has thousands of `frame!` sites, not tens of thousands. Dynamic names share it.
const MAX_NAMES: usize = 65_536;
/// Bytes of names at most.
const MAX_BYTES: usize = 4 << 20;

/// Interns frame names for the life of the process; bounded, so past its limits a name becomes `(other)`.
#[derive(Debug)]
pub(crate) struct NameTable(RwLock<Names>);

#[derive(Debug)]
struct Names {
    by_name: HashMap<Arc<str>, FrameId>,
    by_id: Vec<Arc<str>>,
    bytes: usize,
}

impl Default for NameTable {
    fn default() -> Self {
        let mut names = Names { by_name: HashMap::new(), by_id: Vec::new(), bytes: 0 };
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
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match names.by_name.get(name) {
            Some(id) => *id,
            None => names.insert(name),
        }
    }

    /// The name of `id`.
    pub(crate) fn name(&self, id: FrameId) -> Arc<str> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        names.by_id.get(index).cloned().unwrap_or_else(|| RESERVED[0].into())
    }
}

impl Names {
    fn insert(&mut self, name: &str) -> FrameId {
        if self.by_id.len() >= MAX_NAMES || self.bytes + name.len() > MAX_BYTES {
            return FrameId::OTHER;
        }
        let Ok(index) = u32::try_from(self.by_id.len()) else { return FrameId::OTHER };
        let name: Arc<str> = name.into();
        self.bytes += name.len();
        self.by_id.push(name.clone());
        self.by_name.insert(name, FrameId(index));
        FrameId(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id_and_the_reserved_ones_are_theirs() {
        let table = NameTable::default();
        let id = table.intern("load");
        assert_eq!(table.intern("load"), id);
        assert_eq!(&*table.name(id), "load");
        assert_eq!(table.intern("SLEEP"), FrameId::SLEEP);
        assert_eq!(&*table.name(FrameId::PEER), "PEER");
    }

    #[test]
    fn past_the_limit_names_share_one_id() {
        let table = NameTable::default();
        table.intern(&"x".repeat(MAX_BYTES - 100));
        assert_eq!(table.intern(&"y".repeat(200)), FrameId::OTHER);
        assert_eq!(&*table.name(FrameId(u32::MAX)), "(other)");
    }
}
