//! What native capture and symbols say to each other about code in memory.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a stack was taken; folding keeps a different tail of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StackKind {
    /// Inside the leaf future that is about to wait.
    Await,
    /// Where the timer's signal found the thread running.
    Cpu,
    /// In the thread that woke the task.
    Wake,
}

/// The executable or a shared library, as it is mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleInfo {
    /// The file that it was mapped from.
    pub(crate) path: PathBuf,
    /// What the loader added to the file's own addresses.
    pub(crate) bias: u64,
    /// From its first mapped byte to its last, in memory.
    pub(crate) range: Range<u64>,
    /// The GNU build id, where there is one.
    pub(crate) build_id: Option<Box<[u8]>>,
}

/// The modules at one point in time, in the order of their addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModuleMap(Arc<[Arc<ModuleInfo>]>);

impl ModuleMap {
    /// A map of `modules`, in any order.
    pub(crate) fn new(mut modules: Vec<Arc<ModuleInfo>>) -> Self {
        modules.sort_by_key(|module| module.range.start);
        Self(modules.into())
    }

    /// The module that `address` lies in.
    pub(crate) fn find(&self, address: u64) -> Option<&Arc<ModuleInfo>> {
        let after = self.0.partition_point(|module| module.range.start <= address);
        let module = self.0.get(after.checked_sub(1)?)?;
        module.range.contains(&address).then_some(module)
    }

    /// All of them, lowest address first.
    pub(crate) fn modules(&self) -> &[Arc<ModuleInfo>] {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn module(path: &str, range: Range<u64>) -> Arc<ModuleInfo> {
        Arc::new(ModuleInfo { path: path.into(), bias: range.start, range, build_id: None })
    }

    #[test]
    fn an_address_is_found_in_its_module_and_not_between_two() {
        let map = ModuleMap::new(vec![module("b", 300..400), module("a", 100..200)]);
        assert_eq!(map.find(100).unwrap().path.as_os_str(), "a");
        assert_eq!(map.find(399).unwrap().path.as_os_str(), "b");
        assert!([99, 200, 299, 400].iter().all(|address| map.find(*address).is_none()));
        assert_eq!(map.modules().len(), 2);
    }
}
