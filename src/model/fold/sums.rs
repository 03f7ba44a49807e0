//! Times added up by key, where the same keys come again in the same order.

use std::hash::Hash;

use super::super::frame_hash::IdMap;
use super::super::time::Nanos;

/// Keys in the order in which they first came, each with the sum of its times.
///
/// ```text
/// SLEEP ── next ──► QUEUE ── next ──► SLEEP       a loop finds each entry through the one before it
/// ```
/// What came after an entry the last time is looked at before the map: a loop over the same awaits does not hash them.
#[derive(Debug)]
pub(crate) struct Sums<K> {
    entries: Vec<Entry<K>>,
    numbers: IdMap<K, u32>,
    /// The entry that was added to last; meaningless while there is none.
    latest: u32,
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    time: Nanos,
    /// What came after it the last time.
    next: u32,
}

impl<K> Default for Sums<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), numbers: IdMap::default(), latest: 0 }
    }
}

impl<K: Hash + Eq + Copy> Sums<K> {
    /// Adds `time` to that of `key`; its number. `None`, and nothing has changed, when `key` is new and there are `most`
    /// keys already.
    pub(super) fn add(&mut self, key: K, time: Nanos, most: usize) -> Option<u32> {
        let number = self.guess(&key).or_else(|| self.numbers.get(&key).copied());
        let number = match number {
            Some(number) => number,
            None => self.insert(key, most)?,
        };
        if let Some(before) = self.entries.get_mut(index(self.latest)) {
            before.next = number;
        }
        self.latest = number;
        if let Some(entry) = self.entries.get_mut(index(number)) {
            entry.time = entry.time.saturating_add(time);
        }
        Some(number)
    }

    fn guess(&self, key: &K) -> Option<u32> {
        let next = self.entries.get(index(self.latest))?.next;
        self.entries.get(index(next)).filter(|entry| entry.key == *key).map(|_| next)
    }

    fn insert(&mut self, key: K, most: usize) -> Option<u32> {
        let number = u32::try_from(self.entries.len()).ok().filter(|number| index(*number) < most)?;
        self.numbers.insert(key, number);
        self.entries.push(Entry { key, time: Nanos::ZERO, next: number });
        Some(number)
    }

    /// Takes `time` from the entry of that number; no more than it has.
    pub(super) fn take(&mut self, number: u32, time: Nanos) {
        if let Some(entry) = self.entries.get_mut(index(number)) {
            entry.time = entry.time.saturating_sub(time);
        }
    }

    /// The key of that number.
    pub(crate) fn key(&self, number: u32) -> Option<&K> {
        self.entries.get(index(number)).map(|entry| &entry.key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, Nanos)> {
        self.entries.iter().map(|entry| (&entry.key, entry.time))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The memory held, without the allocator's own.
    pub(super) fn approx_bytes(&self) -> usize {
        // A map has a control byte for each slot, and fills seven of eight.
        let slots = self.numbers.capacity() * (size_of::<(K, u32)>() + 1) / 7 * 8;
        self.entries.capacity() * size_of::<Entry<K>>() + slots
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MANY: usize = 1_000;

    fn times(sums: &Sums<u32>) -> Vec<(u32, u64)> {
        sums.iter().map(|(key, time)| (*key, time.0)).collect()
    }

    #[test]
    fn every_key_has_the_sum_of_its_times_whatever_came_before_it() {
        let mut sums = Sums::default();
        // Guesses that come true, that do not, and keys that follow themselves.
        let order = [1, 2, 1, 2, 3, 3, 1, 3, 2, 2, 1];
        let numbers: Vec<_> = order.iter().map(|key| sums.add(*key, Nanos(u64::from(*key)), MANY).unwrap()).collect();
        assert_eq!(numbers, [0, 1, 0, 1, 2, 2, 0, 2, 1, 1, 0]);
        assert_eq!(times(&sums), [(1, 4), (2, 8), (3, 9)]);
    }

    #[test]
    fn random_orders_give_what_a_map_gives() {
        let (mut sums, mut map) = (Sums::default(), std::collections::BTreeMap::new());
        let mut state = 7_u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (key, time) = ((state >> 60) as u32, state >> 40 & 0xff);
            sums.add(key, Nanos(time), MANY).unwrap();
            *map.entry(key).or_insert(0) += time;
        }
        let mut sorted = times(&sums);
        sorted.sort_unstable();
        assert_eq!(sorted, map.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_full_table_adds_to_what_it_knows_and_takes_nothing_new() {
        let mut sums = Sums::default();
        assert_eq!(sums.add(1, Nanos(5), 1), Some(0));
        assert_eq!(sums.add(2, Nanos(5), 1), None);
        assert_eq!(sums.add(1, Nanos(6), 0), Some(0));
        sums.take(0, Nanos(3));
        sums.take(9, Nanos(3));
        assert_eq!((times(&sums), sums.len(), sums.key(0)), (vec![(1, 8)], 1, Some(&1)));
        sums.take(0, Nanos(100));
        assert_eq!(times(&sums), [(1, 0)]);
    }
}
