//! The stacks of waits that were named before: shared by the thread that names them and by those who finish traces, so a
//! trace whose stacks are all known waits for no symbols.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chain::Chain;
use super::generations::{Generation, Generations};
use super::opened::CACHE_SHARE;
use super::symbolizer::SymbolSettings;
use crate::model::frame_hash::IdMap;
use crate::model::native::ModuleMap;
use crate::model::stack::StackWord;
use crate::model::stack_table::StackTable;

/// What an entry of the map costs beside its stack and its chain: pointers, the map's own room.
const ENTRY: usize = 64;
/// One chain takes one part in so many of all bytes at most, else it is not kept.
const LARGEST: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct KnownChains {
    known: Mutex<Known>,
    /// Since [`KnownChains::take_is_used`] was last asked.
    is_used: AtomicBool,
}

#[derive(Debug)]
struct Known {
    /// In other modules the same addresses are other functions.
    map: ModuleMap,
    generations: Generations<Chains>,
}

#[derive(Debug, Default)]
struct Chains {
    by_stack: IdMap<Box<[StackWord]>, Arc<Chain>>,
    bytes: usize,
}

impl Generation for Chains {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl KnownChains {
    /// With the share that they have of a symboliser's bytes.
    pub(super) fn within(settings: &SymbolSettings) -> Self {
        Self::new(settings.max_bytes / CACHE_SHARE / 2)
    }

    fn new(most_bytes: usize) -> Self {
        let known = Known { map: ModuleMap::default(), generations: Generations::within(most_bytes) };
        Self { known: Mutex::new(known), is_used: AtomicBool::new(false) }
    }

    /// The chains of all stacks of `table`, in their order; `None` unless each is known.
    pub(crate) fn all(&self, map: &ModuleMap, table: &StackTable) -> Option<Vec<Arc<Chain>>> {
        self.is_used.store(true, Ordering::Relaxed);
        // Freed after the lock is open again: the symbol thread runs behind all others.
        let mut given_up = Vec::new();
        let mut known = self.lock();
        if !known.is_of(map) {
            return None;
        }
        table.all().map(|stack| known.get(stack, &mut given_up)).collect()
    }

    pub(super) fn get(&self, map: &ModuleMap, stack: &[StackWord]) -> Option<Arc<Chain>> {
        let mut given_up = Vec::new();
        let mut known = self.lock();
        if !known.is_of(map) {
            return None;
        }
        known.get(stack, &mut given_up)
    }

    /// Forgets what was known of other modules.
    pub(super) fn insert(&self, map: &ModuleMap, stack: &[StackWord], chain: &Arc<Chain>) {
        let mut given_up = Vec::new();
        let mut known = self.lock();
        if !known.is_of(map) {
            known.map = map.clone();
            given_up.extend(known.generations.take());
        }
        known.insert(stack, chain, &mut given_up);
    }

    pub(super) fn clear(&self) {
        let cleared = self.lock().generations.take();
        drop(cleared);
    }

    /// Whether anybody has asked since the last time.
    pub(super) fn take_is_used(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they occupy.
    pub(super) fn bytes(&self) -> usize {
        self.lock().generations.bytes()
    }
}

impl Known {
    /// Whether it is of the modules in `map`.
    fn is_of(&mut self, map: &ModuleMap) -> bool {
        if self.map.is_same(map) {
            return true;
        }
        let is_equal = self.map == *map;
        if is_equal {
            // The next one to ask has this one too.
            self.map = map.clone();
        }
        is_equal
    }

    fn get(&mut self, stack: &[StackWord], given_up: &mut Vec<Chains>) -> Option<Arc<Chain>> {
        if let Some(found) = self.generations.young.by_stack.get(stack) {
            return Some(found.clone());
        }
        let found = self.generations.old.by_stack.get(stack)?.clone();
        self.insert(stack, &found, given_up);
        Some(found)
    }

    fn insert(&mut self, stack: &[StackWord], chain: &Arc<Chain>, given_up: &mut Vec<Chains>) {
        let bytes = ENTRY + size_of_val(stack) + chain.bytes();
        if bytes > self.generations.most_bytes() / LARGEST {
            return;
        }
        given_up.extend(self.generations.make_room());
        let young = &mut self.generations.young;
        if young.by_stack.insert(stack.into(), chain.clone()).is_none() {
            young.bytes += bytes;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::symbol::{Class, Role, Symbol};
    use super::*;
    use crate::model::native::ModuleInfo;

    fn chain() -> Arc<Chain> {
        let name = "app::load".into();
        let symbol = Symbol { name, file: None, line: 1, class: Class::Own, role: Role::Plain, task: None };
        let mut chain = Chain::default();
        chain.push(0, &[symbol]);
        chain.into()
    }

    #[test]
    fn the_bytes_stay_within_the_bound_and_what_is_used_stays() {
        const MOST: usize = 64 * 1024;
        let (known, map, chain) = (KnownChains::new(MOST), ModuleMap::default(), chain());
        known.insert(&map, &[StackWord(0)], &chain);
        for number in 1..10_000 {
            known.insert(&map, &[StackWord(number)], &chain);
            assert!(known.get(&map, &[StackWord(0)]).is_some(), "lost after {number}");
            assert!(known.bytes() <= MOST + 1024, "{} bytes after {number}", known.bytes());
        }
        assert!(known.get(&map, &[StackWord(1)]).is_none());
        assert!(known.get(&map, &[StackWord(9_999)]).is_some_and(|found| Arc::ptr_eq(&found, &chain)));
        known.clear();
        assert_eq!((known.get(&map, &[StackWord(9_999)]).is_none(), known.bytes()), (true, 0));
    }

    #[test]
    fn a_trace_has_all_of_its_chains_or_none() {
        let (known, map) = (KnownChains::new(1 << 20), ModuleMap::default());
        let mut table = StackTable::default();
        assert!(known.all(&map, &table).unwrap().is_empty());
        for stack in [[StackWord(1)], [StackWord(2)]] {
            table.stack(&stack, false).unwrap();
            assert!(known.all(&map, &table).is_none(), "before it is known");
            known.insert(&map, &stack, &chain());
        }
        assert_eq!(known.all(&map, &table).unwrap().len(), 2);
        assert!(known.take_is_used() && !known.take_is_used());
    }

    #[test]
    fn other_modules_make_all_of_it_unknown() {
        let (known, map) = (KnownChains::new(1 << 20), ModuleMap::default());
        let module = ModuleInfo { path: "/lib.so".into(), is_program: false, bias: 0, range: 16..32, build_id: None };
        let other = ModuleMap::new(vec![Arc::new(module)]);
        known.insert(&map, &[StackWord(1)], &chain());
        assert!(known.get(&other, &[StackWord(1)]).is_none());
        known.insert(&other, &[StackWord(2)], &chain());
        assert!(known.get(&map, &[StackWord(1)]).is_none() && known.get(&other, &[StackWord(1)]).is_none());
    }
}
