//! Takes out what is too short to be seen in a flame graph; its time stays with the block above.

#[cfg(test)]
mod tests;

use crate::model::profile::{Profile, ProfileNode};
use crate::model::time::Nanos;

/// The share of the total below which a block loses its children, where none is configured.
const DEFAULT_THRESHOLD: f64 = 0.01;
/// The least share that the filter works with, so that no configuration can ship a million paths.
const MIN_THRESHOLD: f64 = 0.005;

/// Marks a node whose children go.
const CLOSED: u32 = u32::MAX;

/// `profile` without the descendants of every block whose inclusive time is less than `threshold` x total
/// (compared as doubles); such a block becomes a leaf with its whole inclusive time, so the total stays. The root
/// is never such a block. `None` means 0.01, and less than 0.005 counts as 0.005. A total of zero gives the input.
pub(crate) fn filter(profile: &Profile, threshold: Option<f64>) -> Profile {
    let inclusive = inclusive_times(profile);
    let total = inclusive.first().copied().unwrap_or(Nanos::ZERO);
    if total == Nanos::ZERO {
        return profile.clone();
    }
    let least = as_double(total) * threshold.unwrap_or(DEFAULT_THRESHOLD).max(MIN_THRESHOLD);
    Profile { nodes: keep_large(&profile.nodes, &inclusive, least), frames: profile.frames.clone() }
}

/// `profile` without every block whose inclusive time is less than `threshold` x total; that time goes to the block
/// above, so the total stays. Unlike [`filter`] it takes out the block itself: above 1 only the root is left.
#[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only messages have a limit"))]
pub(crate) fn fold(profile: &Profile, threshold: f64) -> Profile {
    let inclusive = inclusive_times(profile);
    let least = as_double(inclusive.first().copied().unwrap_or(Nanos::ZERO)) * threshold;
    let mut kept: Vec<ProfileNode> = Vec::new();
    // Where each node, or what it was folded into, finds itself in `kept`.
    let mut places: Vec<u32> = Vec::with_capacity(profile.nodes.len());
    for (node, &inclusive) in profile.nodes.iter().zip(&inclusive) {
        let parent = places.get(to_index(node.parent)).copied();
        // Whatever is below a small block is small as well.
        let place = match parent.filter(|_| as_double(inclusive) < least) {
            Some(parent) => {
                if let Some(parent) = kept.get_mut(to_index(parent)) {
                    parent.own.0 += node.own.0;
                }
                parent
            }
            None => {
                kept.push(ProfileNode { parent: parent.unwrap_or(node.parent), ..*node });
                u32::try_from(kept.len() - 1).unwrap_or(CLOSED)
            }
        };
        places.push(place);
    }
    Profile { nodes: kept, frames: profile.frames.clone() }
}

fn keep_large(nodes: &[ProfileNode], inclusive: &[Nanos], least: f64) -> Vec<ProfileNode> {
    let mut kept = Vec::with_capacity(nodes.len());
    // Where the children of each node find it in `kept`.
    let mut places: Vec<u32> = Vec::with_capacity(nodes.len());
    for (node, &inclusive) in nodes.iter().zip(inclusive) {
        let is_root = places.is_empty();
        let parent = places.get(to_index(node.parent)).copied().unwrap_or(CLOSED);
        if parent == CLOSED && !is_root {
            places.push(CLOSED);
            continue;
        }
        let is_small = !is_root && as_double(inclusive) < least;
        places.push(if is_small { CLOSED } else { u32::try_from(kept.len()).unwrap_or(CLOSED) });
        let own = if is_small { inclusive } else { node.own };
        kept.push(ProfileNode { parent, frame: node.frame, own });
    }
    kept
}

/// Each node's own time and that of all its descendants.
fn inclusive_times(profile: &Profile) -> Vec<Nanos> {
    let mut times: Vec<Nanos> = profile.nodes.iter().map(|node| node.own).collect();
    for (index, node) in profile.nodes.iter().enumerate().rev() {
        let time = times.get(index).copied().unwrap_or(Nanos::ZERO);
        if let Some(parent) = times.get_mut(to_index(node.parent)) {
            parent.0 += time.0;
        }
    }
    times
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ns, which is 104 days")]
fn as_double(time: Nanos) -> f64 {
    time.0 as f64
}

fn to_index(index: u32) -> usize {
    index as usize
}
