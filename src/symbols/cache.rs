//! What was looked up before, within a bound.

use std::collections::HashSet;
use std::sync::Arc;

use super::generations::{Generation, Generations};
use super::symbol::Symbol;
use crate::model::frame_hash::IdMap;

/// A module by the number that the symboliser gave it, and the address in its file.
pub(super) type Place = (u32, u64);

/// What an entry of a map costs beside its symbols: key, pointers, the map's own room.
const ENTRY: usize = 64;

/// Symbols by place.
#[derive(Debug)]
pub(super) struct SymbolCache(Generations<Symbols>);

#[derive(Debug, Default)]
struct Symbols {
    symbols: IdMap<Place, Arc<[Symbol]>>,
    texts: HashSet<Arc<str>>,
    bytes: usize,
}

impl SymbolCache {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self(Generations::within(most_bytes))
    }

    pub(super) fn get(&mut self, place: Place) -> Option<Arc<[Symbol]>> {
        if let Some(found) = self.0.young.symbols.get(&place) {
            return Some(found.clone());
        }
        let found = self.0.old.symbols.get(&place)?.clone();
        self.insert(place, &found);
        Some(found)
    }

    pub(super) fn insert(&mut self, place: Place, symbols: &Arc<[Symbol]>) {
        self.0.make_room();
        self.0.young.insert(place, symbols);
    }

    /// One copy of each text, however many symbols have it.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        let known = self.0.young.texts.get(text).or_else(|| self.0.old.texts.get(text)).cloned();
        self.0.young.keep(known.unwrap_or_else(|| text.into()))
    }

    /// What the cache occupies.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Generation for Symbols {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Symbols {
    fn insert(&mut self, place: Place, symbols: &Arc<[Symbol]>) {
        for symbol in symbols.iter() {
            self.keep(symbol.name.clone());
            for text in [&symbol.file, &symbol.task].into_iter().flatten() {
                self.keep(text.clone());
            }
        }
        if self.symbols.insert(place, symbols.clone()).is_none() {
            self.bytes += ENTRY + size_of_val::<[Symbol]>(symbols);
        }
    }

    fn keep(&mut self, text: Arc<str>) -> Arc<str> {
        if self.texts.insert(text.clone()) {
            self.bytes += ENTRY + text.len();
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::symbol::{Class, Role};
    use super::*;

    fn symbols(cache: &mut SymbolCache, name: &str) -> Arc<[Symbol]> {
        let name = cache.text(name);
        [Symbol { name, file: None, line: 1, class: Class::Own, role: Role::Plain, task: None }].into()
    }

    #[test]
    fn the_bytes_stay_within_the_bound_and_what_is_used_stays() {
        const MOST: usize = 64 * 1024;
        let mut cache = SymbolCache::new(MOST);
        let favourite = symbols(&mut cache, "favourite");
        cache.insert((0, 0), &favourite);
        for address in 1..10_000 {
            let symbols = symbols(&mut cache, &format!("name {address}"));
            cache.insert((0, address), &symbols);
            assert!(cache.get((0, 0)).is_some(), "lost after {address}");
            assert!(cache.bytes() <= MOST + 1024, "{} bytes after {address}", cache.bytes());
        }
        assert!(cache.get((0, 1)).is_none());
        assert!(cache.get((0, 9_999)).is_some());
        assert!(cache.get((1, 9_999)).is_none());
    }

    #[test]
    fn equal_texts_are_one() {
        let mut cache = SymbolCache::new(1 << 20);
        assert!(Arc::ptr_eq(&cache.text("a"), &cache.text("a")));
    }
}
