//! Numbers that differ from those of every other process and thread: for dice, ids, and the names of files. Not for
//! secrets.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};

/// A generator of its own.
pub(crate) fn seeded() -> SmallRng {
    // A system that gives no random bytes must not end the host: the standard library's seed differs as well.
    let mut seed = <SmallRng as SeedableRng>::Seed::default();
    match getrandom::getrandom(&mut seed) {
        Ok(()) => SmallRng::from_seed(seed),
        Err(_) => SmallRng::seed_from_u64(RandomState::new().build_hasher().finish()),
    }
}

/// A number, for where they are seldom needed: each asks the system.
pub(crate) fn number() -> u64 {
    seeded().random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let mut numbers = (0..100).map(|_| number()).collect::<Vec<_>>();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 100);
    }
}
