//! A hash for keys made of ids.

use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys are made of [`FrameId`](super::frame::FrameId)s, indexes, labels, ids of actors, and addresses. The
/// numbers are counted up as names, paths, traces and actors are first seen, and addresses are where the program lies: nobody
/// outside can choose them to collide, and the default hash's defence against that would only cost.
pub(crate) type IdMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Multiplies and folds: both halves of the product count, because the map takes its slot from the low bits and
/// its tag from the high ones.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct IdHasher(u64);

/// 2^64 divided by the golden ratio, which spreads numbers that follow each other; odd.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    // What `derive(Hash)` calls for the variant of an `Option`.
    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0.rotate_left(32) ^ number ^ MULTIPLIER) * u128::from(MULTIPLIER);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
        let (high, low) = ((product >> 64) as u64, product as u64);
        self.0 = high ^ low;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault};

    use super::*;

    #[test]
    fn ids_that_follow_each_other_spread_over_the_slots() {
        let build = BuildHasherDefault::<IdHasher>::default();
        let keys = || (0..64_u32).flat_map(|parent| (0..64_u32).map(move |frame| (parent, frame)));
        let whole: HashSet<u64> = keys().map(|key| build.hash_one(key)).collect();
        assert_eq!(whole.len(), 4_096, "no two are equal");
        let slots: HashSet<u64> = keys().map(|key| build.hash_one(key) & 0xfff).collect();
        let tags: HashSet<u64> = keys().map(|key| build.hash_one(key) >> 57).collect();
        // Thrown at random, 4,096 balls leave 1,507 of 4,096 slots empty.
        assert!(slots.len() > 2_400, "{} slots", slots.len());
        assert_eq!(tags.len(), 128);
    }
}
