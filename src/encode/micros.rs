//! Rounding to the microseconds that leave the process.

use crate::model::profile::Profile;

/// The own time of each node in whole microseconds. They sum to the whole microseconds of the total: what is
/// cut off one node counts towards the next in pre-order, so no node is off by 1 µs or more.
pub(super) fn own_micros(profile: &Profile) -> impl Iterator<Item = u64> {
    let mut cut_off = 0;
    profile.nodes.iter().map(move |node| {
        let nanos = node.own.0.saturating_add(cut_off);
        cut_off = nanos % 1_000;
        nanos / 1_000
    })
}
