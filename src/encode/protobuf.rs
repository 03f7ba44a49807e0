//! As much of the protobuf wire format as pprof needs.

/// How the value behind a tag is written.
#[derive(Debug, Clone, Copy)]
enum WireType {
    Varint = 0,
    Bytes = 2,
}

/// The longest varint: 64 bits at 7 a byte.
pub(super) const MAX_VARINT: usize = 64_usize.div_ceil(7);

/// The length of a field's tag; holds for the field numbers up to 15, and no message here has more.
pub(super) const TAG_LEN: usize = 1;

/// Writes one number in groups of 7 bits, the lowest first.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_group(value) | 0x80);
        value >>= 7;
    }
    out.push(low_group(value));
}

/// As [`put_varint`], into a slice of exactly [`varint_len`] bytes.
#[inline]
pub(super) fn fill_varint(slot: &mut [u8], mut value: u64) {
    if let Some((last, groups)) = slot.split_last_mut() {
        for group in groups {
            *group = low_group(value) | 0x80;
            value >>= 7;
        }
        *last = low_group(value);
    }
}

/// How many bytes [`put_varint`] writes.
#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    // The highest set bit, over 7, rounded up; zero takes a byte too.
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// A number; zero is the default and not written.
pub(super) fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        put_tag(out, field, WireType::Varint);
        put_varint(out, value);
    }
}

/// How many bytes [`put_number`] writes.
pub(super) fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { TAG_LEN + varint_len(value) }
}

/// The tag and length of a string, a message or packed numbers; `length` bytes of content must follow.
#[inline]
pub(super) fn put_header(out: &mut Vec<u8>, field: u8, length: usize) {
    put_tag(out, field, WireType::Bytes);
    put_varint(out, length as u64);
}

/// How many bytes [`put_header`] and the content take.
#[inline]
pub(super) fn bytes_len(length: usize) -> usize {
    TAG_LEN + varint_len(length as u64) + length
}

/// A string or other bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_header(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

#[inline]
fn put_tag(out: &mut Vec<u8>, field: u8, wire_type: WireType) {
    out.push(field << 3 | wire_type as u8);
}

#[inline]
fn low_group(value: u64) -> u8 {
    (value & 0x7f) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_the_length_and_the_bytes_of_prosts() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit]).chain([u64::MAX]);
        for value in edges {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            put_varint(&mut ours, value);
            prost::encoding::encode_varint(value, &mut theirs);
            assert_eq!(ours, theirs);
            assert_eq!(ours.len(), varint_len(value));
            let mut filled = vec![0; varint_len(value)];
            fill_varint(&mut filled, value);
            assert_eq!(filled, ours);
            assert!(ours.len() <= MAX_VARINT);
        }
    }

    #[test]
    fn the_lengths_are_those_of_what_is_written() {
        for value in [0, 1, 127, 128, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, 15, value);
            assert_eq!(out.len(), number_len(value));
        }
        for length in [0, 1, 127, 128, 20_000] {
            let mut out = Vec::new();
            put_bytes(&mut out, 2, &vec![7; length]);
            assert_eq!(out.len(), bytes_len(length));
        }
    }
}
