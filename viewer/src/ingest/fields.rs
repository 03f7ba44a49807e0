//! The top level of a protobuf message, field by field, without unfolding what is in them.

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::check::Refusal;

/// The contents of each field `wanted`, in order; fields of other numbers are skipped, as proto3 wants it.
pub(crate) fn repeated(message: Bytes, wanted: u32) -> impl Iterator<Item = Result<Bytes, Refusal>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let next = next_field(&mut rest, wanted);
        if next.as_ref().is_some_and(Result::is_err) {
            // What follows an error is noise.
            rest.clear();
        }
        next
    })
}

fn next_field(rest: &mut Bytes, wanted: u32) -> Option<Result<Bytes, Refusal>> {
    while rest.has_remaining() {
        match take_field(rest, wanted) {
            Ok(None) => {}
            Ok(Some(field)) => return Some(Ok(field)),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

fn take_field(rest: &mut Bytes, wanted: u32) -> Result<Option<Bytes>, Refusal> {
    let (number, wire_type) = decode_key(rest)?;
    if number != wanted || wire_type != WireType::LengthDelimited {
        skip_field(wire_type, number, rest, DecodeContext::default())?;
        return Ok(None);
    }
    let length = decode_varint(rest)?;
    match usize::try_from(length) {
        Ok(length) if length <= rest.remaining() => Ok(Some(rest.split_to(length))),
        _ => Err(Refusal::Truncated),
    }
}

/// How many fields there are, as far as `limit` and one more.
pub(crate) fn count(mut message: Bytes, limit: usize) -> Result<usize, Refusal> {
    let mut count = 0;
    while message.has_remaining() && count <= limit {
        let (number, wire_type) = decode_key(&mut message)?;
        skip_field(wire_type, number, &mut message, DecodeContext::default())?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn other_fields_are_skipped_and_a_cut_message_is_an_error() {
        // Field 1: "a"; field 2: varint 5; field 1: "bc".
        let message = Bytes::from_static(b"\x0a\x01a\x10\x05\x0a\x02bc");
        let all: Result<Vec<_>, _> = repeated(message.clone(), 1).collect();
        assert_eq!(all.unwrap(), ["a", "bc"]);
        for cut in [1, 2, 4, 6, 7, 8] {
            let all: Result<Vec<_>, _> = repeated(message.slice(..cut), 1).collect();
            assert!(all.is_err(), "{cut}");
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        let cut = Bytes::from_static(b"\x0a\x09a");
        assert_eq!(repeated(cut, 1).count(), 1);
    }
}
