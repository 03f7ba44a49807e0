//! What one layer has decided about each callsite, found without a lock.
//!
//! ```text
//! slot   the metadata's address / 8 (45 bits) │ frame + 1, or 0: does not count (19 bits)
//! ```
//! A slot is one word, written once, so there is nothing to be torn or to be ordered. Metadata is `'static`: an address
//! never comes to stand for another callsite.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Metadata;

use crate::model::frame::FrameId;

/// Callsites of spans in a large service are hundreds. 4,096 x 8 bytes = 32 KiB.
const SLOTS: usize = 4_096;
/// Slots that a callsite may be in, one behind the other.
const PROBES: usize = 16;

const DECISION_BITS: u32 = 19;
const DECISION_MASK: u64 = (1 << DECISION_BITS) - 1;

/// See the module.
pub(super) struct Callsites(Box<[AtomicU64]>);

impl Default for Callsites {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Callsites {
    /// What `decide` said about this callsite when it was first asked; it is asked each time where there is no room.
    #[inline]
    pub(super) fn decide_once(
        &self,
        metadata: &'static Metadata<'static>,
        decide: impl FnOnce() -> Option<FrameId>,
    ) -> Option<FrameId> {
        self.find_or_decide(std::ptr::from_ref(metadata).addr(), decide)
    }

    fn find_or_decide(&self, address: usize, decide: impl FnOnce() -> Option<FrameId>) -> Option<FrameId> {
        let Some(key) = key_of(address) else { return decide() };
        for slot in self.places(key) {
            // Relaxed, here and below: the word is all there is to see.
            let word = slot.load(Ordering::Relaxed);
            if word & !DECISION_MASK == key {
                return decision_of(word);
            }
            if word == 0 {
                return fill(slot, key, decide());
            }
        }
        decide()
    }

    fn places(&self, key: u64) -> impl Iterator<Item = &AtomicU64> {
        // Callsites lie close to each other in the program, some 100 bytes apart: the product's upper bits spread them.
        let start = usize::try_from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52).unwrap_or(0);
        (start..start + PROBES).filter_map(|place| self.0.get(place % SLOTS))
    }
}

const _: () = assert!(SLOTS == 1 << (64 - 52), "the hash has as many values as there are slots");

/// The key in its place in a slot; none for an address that does not fit, which no system hands out by itself.
fn key_of(address: usize) -> Option<u64> {
    let key = u64::try_from(address).ok()?.checked_div(align_of::<Metadata<'static>>() as u64)?;
    (key != 0 && key.leading_zeros() >= DECISION_BITS).then_some(key << DECISION_BITS)
}

fn decision_of(word: u64) -> Option<FrameId> {
    u32::try_from(word & DECISION_MASK).ok()?.checked_sub(1).map(FrameId)
}

fn fill(slot: &AtomicU64, key: u64, decision: Option<FrameId>) -> Option<FrameId> {
    let number = decision.map_or(0, |frame| u64::from(frame.0) + 1);
    if number <= DECISION_MASK {
        // `Err`: another thread was first, with the same callsite or another one. The next look finds out.
        slot.compare_exchange(0, key | number, Ordering::Relaxed, Ordering::Relaxed).ok();
    }
    decision
}

impl fmt::Debug for Callsites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.iter().filter(|slot| slot.load(Ordering::Relaxed) != 0).count();
        write!(f, "{known} callsites")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As far apart as callsites are.
    fn address(number: usize) -> usize {
        0x5555_5555_4000 + number * 104
    }

    #[test]
    fn a_callsite_is_decided_about_once() {
        let callsites = Callsites::default();
        for number in 0..1_000 {
            let decision = (number % 3 > 0).then_some(FrameId(u32::try_from(number).unwrap_or(0)));
            assert_eq!(callsites.find_or_decide(address(number), || decision), decision);
            assert_eq!(callsites.find_or_decide(address(number), || unreachable!()), decision);
        }
        let asked_again = (0..1_000).filter(|number| {
            let mut asked = false;
            callsites.find_or_decide(address(*number), || {
                asked = true;
                None
            });
            asked
        });
        assert_eq!(asked_again.count(), 0);
    }

    #[test]
    fn without_room_it_is_asked_each_time_and_right() {
        let callsites = Callsites::default();
        for number in 0..2 * SLOTS {
            let frame = Some(FrameId(u32::try_from(number).unwrap_or(0)));
            assert_eq!(callsites.find_or_decide(address(number), || frame), frame);
            assert_eq!(callsites.find_or_decide(address(number), || frame), frame);
        }
    }

    #[test]
    fn what_does_not_fit_into_a_slot_is_not_kept() {
        let callsites = Callsites::default();
        let large = Some(FrameId(1 << DECISION_BITS));
        assert_eq!(callsites.find_or_decide(address(1), || large), large);
        assert_eq!(callsites.find_or_decide(address(1), || None), None, "asked again");
        assert_eq!(callsites.find_or_decide(usize::MAX, || large), large);
        assert_eq!(format!("{callsites:?}"), "1 callsites");
    }

    #[test]
    fn threads_that_race_for_a_slot_agree() {
        for round in 0..50 {
            let callsites = Callsites::default();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for number in 0..200 {
                            let frame = Some(FrameId(u32::try_from(number + round).unwrap_or(0)));
                            assert_eq!(callsites.find_or_decide(address(number), || frame), frame);
                        }
                    });
                }
            });
        }
    }
}
