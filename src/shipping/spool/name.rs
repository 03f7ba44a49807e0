//! The names of files, which tell their age and what is in them.

use std::fmt;
use std::time::SystemTime;

use crate::safety::random;

const SUFFIX: &str = ".spool";
const CLAIMED: &str = ".spool.sending";
const TEMP_PREFIX: &str = ".flame-on-spool-";

/// `<kind>-<nanoseconds since 1970>-<random>-<items>.spool`, with `.sending` after it while a process sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: String,
    nanos: u64,
    random: u64,
    pub(super) items: u64,
    pub(super) is_claimed: bool,
}

impl Name {
    /// The name of a file that is written now.
    pub(super) fn new(kind: &str, items: usize) -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        let items = items as u64;
        Self { kind: kind.to_owned(), nanos, random: random::number(), items, is_claimed: false }
    }

    /// `None` when the file is not ours.
    pub(super) fn read(name: &str) -> Option<Self> {
        let claimed = name.strip_suffix(CLAIMED);
        let mut parts = claimed.or_else(|| name.strip_suffix(SUFFIX))?.split('-');
        let kind =
            parts.next().filter(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()))?;
        let read = Self {
            kind: kind.to_owned(),
            nanos: parts.next()?.parse().ok()?,
            random: u64::from_str_radix(parts.next()?, 16).ok()?,
            items: parts.next()?.parse().ok()?,
            is_claimed: claimed.is_some(),
        };
        // What is written differently is not ours.
        (read.to_string() == name).then_some(read)
    }

    /// The same file, claimed or not.
    pub(super) fn claimed(&self, is_claimed: bool) -> Self {
        Self { is_claimed, ..self.clone() }
    }

    /// The older come first.
    pub(super) fn order(&self) -> (u64, u64) {
        (self.nanos, self.random)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, nanos, random, items, is_claimed } = self;
        let suffix = if *is_claimed { CLAIMED } else { SUFFIX };
        write!(f, "{kind}-{nanos:020}-{random:016x}-{items}{suffix}")
    }
}

/// A name for a file that is not finished.
pub(super) fn temp() -> String {
    format!("{TEMP_PREFIX}{:016x}", random::number())
}

/// Whether [`temp`] has made it, in whatever process.
pub(super) fn is_temp(name: &str) -> bool {
    name.strip_prefix(TEMP_PREFIX).is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is() {
        let name = Name::new("traces", 12);
        assert_eq!(Name::read(&name.to_string()), Some(name.clone()));
        let claimed = Name { is_claimed: true, ..name };
        assert_eq!(Name::read(&claimed.to_string()), Some(claimed));
        let zero = "0".repeat(20);
        for foreign in ["", "a.spool", "x-1-2-3.spool", "notes.txt", &format!("-{zero}-{}-1.spool", "0".repeat(16))] {
            assert_eq!(Name::read(foreign), None, "{foreign}");
        }
        assert!(is_temp(&temp()) && !is_temp("flame-on-spool-x"));
    }
}
