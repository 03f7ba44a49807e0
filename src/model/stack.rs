//! One frame of a captured stack in one word.
//!
//! ```text
//! native     address (48 bits)            │ place (16 bits)
//! by hand    1 << 47 │ frame id (32 bits) │ place (16 bits)
//! ```
//! `place` is how far the frame reaches towards the root of the traced poll: the distance from the poll's base to the
//! frame's outer end, in [`PLACE_UNIT`]s. It puts frames by hand between native ones. User space has 47 bits on both
//! architectures unless a program asks for more; an address above them is cut, and found in no module.

use super::frame::FrameId;

/// Bytes of one step of a place: what both ABIs align a stack to.
const PLACE_UNIT: usize = 16;
const PLACE_BITS: u32 = 16;
const BY_HAND: u64 = 1 << 47;
const ADDRESS_MASK: u64 = BY_HAND - 1;

/// How far from a poll's base, saturating at 65,535 units (1 MiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Place(pub(crate) u16);

impl Place {
    /// Of the frame whose outer end (its canonical frame address) is at `end`.
    #[inline]
    pub(crate) fn of_end(base: usize, end: usize) -> Self {
        Self::from_distance(base.saturating_sub(end))
    }

    /// Of something inside a frame, at `address`.
    #[inline]
    pub(crate) fn of_local(base: usize, address: usize) -> Self {
        // One less: the lowest byte of a frame must not count as its callee's.
        Self::from_distance(base.saturating_sub(address).saturating_sub(1))
    }

    #[inline]
    fn from_distance(bytes: usize) -> Self {
        Self(u16::try_from(bytes / PLACE_UNIT).unwrap_or(u16::MAX))
    }
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StackWord(pub(crate) u64);

/// What a word stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framed {
    /// Code: an address to look up, inside the calling instruction for all but the innermost frame of a sample.
    Native(u64),
    /// A frame opened by hand, or a span.
    ByHand(FrameId),
}

impl StackWord {
    /// The code at `address`, in a frame that reaches as far as `place`.
    #[inline]
    pub(crate) fn native(address: u64, place: Place) -> Self {
        Self((address & ADDRESS_MASK) << PLACE_BITS | u64::from(place.0))
    }

    /// The frame `id`, opened at `place`.
    #[inline]
    pub(crate) fn by_hand(id: FrameId, place: Place) -> Self {
        Self((BY_HAND | u64::from(id.0)) << PLACE_BITS | u64::from(place.0))
    }

    /// What it stands for.
    #[inline]
    pub(crate) fn framed(self) -> Framed {
        let content = self.0 >> PLACE_BITS;
        if content & BY_HAND == 0 {
            return Framed::Native(content);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the id's own bits")]
        Framed::ByHand(FrameId(content as u32))
    }

    /// How far it reaches.
    #[inline]
    pub(crate) fn place(self) -> Place {
        #[expect(clippy::cast_possible_truncation, reason = "the place's own bits")]
        Place(self.0 as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_it_was_made_of() {
        let word = StackWord::native(0x7fff_1234_5678, Place(77));
        assert_eq!((word.framed(), word.place()), (Framed::Native(0x7fff_1234_5678), Place(77)));
        let word = StackWord::by_hand(FrameId(u32::MAX), Place(u16::MAX));
        assert_eq!((word.framed(), word.place()), (Framed::ByHand(FrameId(u32::MAX)), Place(u16::MAX)));
    }

    #[test]
    fn a_local_lies_behind_its_function_and_before_what_that_calls() {
        let (base, end, pointer) = (0x10_000, 0xf_f00, 0xf_e00);
        let (function, callee) = (Place::of_end(base, end), Place::of_end(base, pointer));
        for local in [pointer, pointer + 8, end - 1] {
            let local = Place::of_local(base, local);
            assert!(function <= local && local < callee, "{function:?} {local:?} {callee:?}");
        }
        assert_eq!(Place::of_end(base, 0), Place(0x1000));
        assert_eq!(Place::of_end(usize::MAX, 0), Place(u16::MAX));
    }
}
