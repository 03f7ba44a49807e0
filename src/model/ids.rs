//! Identities that leave the process.

use std::fmt;

/// Names one trace. Shown and shipped as a random UUID in lower-case `8-4-4-4-12` hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// Makes an id of 128 random bits; six of them are replaced by the UUID version (4) and variant.
    pub(crate) fn from_random(bits: u128) -> Self {
        const VERSION_MASK: u128 = !(0xf << 76);
        const VARIANT_MASK: u128 = !(0x3 << 62);
        Self(bits & VERSION_MASK & VARIANT_MASK | (0x4 << 76) | (0x2 << 62))
    }

    /// The bits, of which [`TraceId::from_random`] makes the same id again.
    pub(crate) fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xffff,
            (id >> 48) & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_version_4_uuid_in_lower_case() {
        assert_eq!(TraceId::from_random(u128::MAX).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(TraceId::from_random(0).to_string(), "00000000-0000-4000-8000-000000000000");
    }
}
