//! A hash that stays the same: for ids of groups and of what has no id of its own.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a of the parts, each closed by a byte that no text contains.
pub(crate) fn of<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> u64 {
    parts.into_iter().fold(OFFSET, |hash, part| {
        let bytes = part.as_ref().iter().chain(std::iter::once(&0xff));
        bytes.fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn where_parts_end_matters() {
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_eq!(of(["ab", "c"]), of(["ab", "c"]));
    }
}
