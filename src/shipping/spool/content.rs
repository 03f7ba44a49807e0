//! What is in a file: a mark, then each item with its length before it, all of it gzipped, which brings a checksum.

use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::encode::gzip::gzip;

/// What every unpacked file begins with; the number is the format's.
const MARK: &[u8] = b"flame-on spool 1\n";
/// Unpacked bytes of a file that are read at most: a damaged or foreign file must not fill the memory.
const MAX_UNPACKED: u64 = 256 << 20;

/// Cuts items into parts of at most `max` bytes, or of a single item.
pub(super) fn parts(items: &[Vec<u8>], max: usize) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|item| {
            bytes += item.len();
            bytes <= max
        });
        let count = fitting.count().max(1).min(rest.len());
        let (part, after) = rest.split_at_checked(count)?;
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

pub(super) fn pack(items: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    for item in items {
        bytes.extend_from_slice(&u32::try_from(item.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(item);
    }
    gzip(&bytes)
}

/// The items; `None` when the bytes are not what [`pack`] makes.
pub(super) fn unpack(packed: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).take(MAX_UNPACKED).read_to_end(&mut bytes).ok()?;
    let mut rest = bytes.strip_prefix(MARK)?;
    let mut items = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (item, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        items.push(item.to_vec());
        rest = after;
    }
    rest.is_empty().then_some(items)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn items() -> Vec<Vec<u8>> {
        (0..50_u8).map(|n| vec![n; usize::from(n) * 7]).collect()
    }

    #[test]
    fn what_was_packed_comes_back_and_what_was_torn_does_not() {
        let packed = pack(&items());
        assert_eq!(unpack(&packed), Some(items()));
        assert_eq!(unpack(&pack(&[])), Some(Vec::new()));
        for length in 0..packed.len() {
            assert_eq!(unpack(&packed[..length]), None, "{length}");
        }
        for at in 10..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x10;
            assert_ne!(unpack(&damaged), Some(Vec::new()));
            assert!(unpack(&damaged).is_none_or(|back| back == items()), "{at}");
        }
        assert_eq!(unpack(&gzip(b"something else")), None);
    }

    #[test]
    fn parts_are_within_the_bound_and_leave_nothing_out() {
        let items = items();
        for max in [1, 100, 1_000, 1 << 20] {
            let parts: Vec<_> = parts(&items, max).collect();
            assert_eq!(parts.concat(), items);
            let is_fine = |part: &&[Vec<u8>]| part.len() == 1 || part.iter().map(Vec::len).sum::<usize>() <= max;
            assert!(parts.iter().all(is_fine));
        }
        assert_eq!(parts(&[], 1).count(), 0);
    }
}
