//! An `event_identifier` as a number of fixed size, so that tables keyed by it are bounded in bytes as well as in count.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// Names one `event_identifier` within this process.
///
/// A keyed 64-bit hash: nobody outside can choose identifiers that collide, and among 10,000 identifiers two share a
/// key with a probability of 10,000² / 2^65 = 3e-12. Those two would share one dedupe window and one share of permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IdentifierKey(u64);

impl IdentifierKey {
    /// The key of `identifier`: the same for equal strings as long as the process lives, different in another process.
    pub(crate) fn of(identifier: &str) -> Self {
        static HASHER: OnceLock<RandomState> = OnceLock::new();
        Self(HASHER.get_or_init(RandomState::new).hash_one(identifier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_identifiers_have_equal_keys_and_others_do_not() {
        assert_eq!(IdentifierKey::of("GET /users/{id}"), IdentifierKey::of(&String::from("GET /users/{id}")));
        let keys: std::collections::HashSet<_> = (0..10_000).map(|n| IdentifierKey::of(&n.to_string())).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
