//! A trace that is larger than a message may be, with as much detail as fits.

use std::sync::atomic::Ordering;

use super::Trace;
use crate::encode::profile_filter::{filter, fold};

/// The shares of the whole below which detail goes, tried in turn: the filter's least, doubled until no block is
/// larger.
const THRESHOLDS: [f64; 9] = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28];

impl Trace {
    /// The profile in pprof's format in at most `limit` bytes: as it is if it fits, else thinned and marked so in
    /// its comments; its time stays whole. `None` when not even the root alone fits.
    pub(crate) fn pprof_within(&self, limit: usize) -> Option<Vec<u8>> {
        let whole = self.encode();
        let is_whole = whole.len() <= limit;
        self.0.is_thinned_to_fit.store(!is_whole, Ordering::Relaxed);
        let fitting = if is_whole { Some(whole) } else { self.thinned(limit) };
        fitting.map(|encoding| self.noted(encoding))
    }

    /// First less depth, as the profile filter takes it; where that is not enough (a thousand children of one
    /// block), whole blocks.
    fn thinned(&self, limit: usize) -> Option<Vec<u8>> {
        let profile = &self.0.parts.profile;
        let mut comments = self.comments();
        if !self.0.parts.thinned {
            comments.push("thinned".to_owned());
        }
        let filtered = THRESHOLDS.iter().map(|share| filter(profile, Some(*share)));
        let folded = THRESHOLDS.iter().map(|share| fold(profile, *share));
        filtered
            .chain(folded)
            .map(|profile| self.encode_as(&profile, &comments))
            .find(|encoding| encoding.len() <= limit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::encode::proto::perftools::profiles as pb;
    use crate::model::profile::{NO_PARENT, Profile, ProfileNode};
    use crate::model::time::Nanos;
    use crate::shipping::batch::Item as _;
    use crate::shipping::trace::TraceParts;
    use crate::shipping::trace::tests::{parts, trace};

    /// A root with `width` children, each the top of a chain of `depth` blocks.
    fn large(width: u32, depth: u32) -> Trace {
        let mut nodes = vec![ProfileNode { parent: NO_PARENT, frame: 0, own: Nanos(7_000) }];
        for child in 0..width {
            for level in 0..depth {
                let parent = if level == 0 { 0 } else { u32::try_from(nodes.len()).unwrap() - 1 };
                nodes.push(ProfileNode { parent, frame: 1 + child * depth + level, own: Nanos(1_000) });
            }
        }
        let frames = (0..=width * depth).map(|n| format!("shop::module::function_{n}").into()).collect();
        Trace::new(TraceParts { profile: Profile { frames, nodes }, ..parts(1) })
    }

    fn total(encoding: &[u8]) -> i64 {
        pb::Profile::decode(encoding).unwrap().sample.iter().map(|sample| sample.value[0]).sum()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let trace = trace(1);
        let encoding = trace.pprof_within(trace.pprof().len()).unwrap();
        assert_eq!((encoding, trace.is_thinned_to_fit()), (trace.pprof(), false));
    }

    #[test]
    fn a_trace_too_large_loses_detail_but_no_time_and_says_so() {
        for (width, depth) in [(3, 400), (400, 3), (2_000, 1), (1, 2_000)] {
            let trace = large(width, depth);
            let whole = trace.pprof();
            for limit in [whole.len() / 2, whole.len() / 20, 700] {
                let encoding = trace.pprof_within(limit).unwrap();
                assert!(encoding.len() <= limit && trace.is_thinned_to_fit());
                assert_eq!(total(&encoding), total(&whole), "{width} {depth} {limit}");
                let profile = pb::Profile::decode(&*encoding).unwrap();
                let is_mark = |index: &i64| profile.string_table[usize::try_from(*index).unwrap()] == "thinned";
                assert_eq!(profile.comment.iter().filter(|index| is_mark(index)).count(), 1);
                assert_eq!(trace.encoded_bytes(), encoding.len() as u64);
            }
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_and_not_cut() {
        assert_eq!(trace(1).pprof_within(50), None);
    }
}
