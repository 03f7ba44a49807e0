//! Identities that leave the process.

use std::fmt;
use std::str::FromStr;

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

/// Why a text is no [`TraceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a trace id: expected 32 hex digits as 8-4-4-4-12")]
pub struct InvalidTraceId;

/// Reads what `Display` writes, in either case: to link an error to a trace whose id came from elsewhere.
impl FromStr for TraceId {
    type Err = InvalidTraceId;

    fn from_str(text: &str) -> Result<Self, InvalidTraceId> {
        let lengths = text.split('-').map(str::len);
        if !lengths.eq([8, 4, 4, 4, 12]) || !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(InvalidTraceId);
        }
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| InvalidTraceId)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hyphenated(self.0, f)
    }
}

fn write_hyphenated(id: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Names one error event. Shown and shipped as a random UUID in lower-case `8-4-4-4-12` hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(u128);

impl EventId {
    /// Of no event: what a capture returns when nothing was captured.
    pub const NIL: Self = Self(0);

    /// As [`TraceId::from_random`].
    pub(crate) fn from_random(bits: u128) -> Self {
        Self(TraceId::from_random(bits).0)
    }

    /// Reads what `Display` writes.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        text.parse::<TraceId>().ok().map(|id| Self(id.0))
    }

    /// Whether nothing was captured: no agent captures errors, or the error was a duplicate.
    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hyphenated(self.0, f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_and_nothing_else() {
        let id = TraceId::from_random(0x1234_5678_9abc);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        let hex = "00000000000040008000123456789abc";
        for text in ["", "-", hex, "0000000-00000-4000-8000-123456789abc", "+0000000-0000-4000-8000-123456789abc"] {
            assert_eq!(text.parse::<TraceId>(), Err(InvalidTraceId), "{text}");
        }
    }

    #[test]
    fn the_event_id_of_nothing_is_nil() {
        assert!(EventId::default().is_nil() && !EventId::from_random(0).is_nil());
    }

    #[test]
    fn it_is_a_version_4_uuid_in_lower_case() {
        assert_eq!(TraceId::from_random(u128::MAX).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(TraceId::from_random(0).to_string(), "00000000-0000-4000-8000-000000000000");
    }
}
