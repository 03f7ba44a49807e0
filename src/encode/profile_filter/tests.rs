use proptest::prelude::*;

use super::*;
use crate::encode::test_profiles::profiles;
use crate::model::profile::NO_PARENT;

fn profile(nodes: &[(u32, u32, u64)]) -> Profile {
    let node = |&(parent, frame, own)| ProfileNode { parent, frame, own: Nanos(own) };
    let frames = (0..10).map(|frame| format!("f{frame}").into()).collect();
    Profile { frames, nodes: nodes.iter().map(node).collect() }
}

#[test]
fn a_small_block_becomes_a_leaf_with_its_whole_time() {
    let tree = [(NO_PARENT, 0, 900), (0, 1, 2), (1, 2, 3), (2, 3, 4), (0, 4, 0), (4, 5, 91)];
    let expected = [(NO_PARENT, 0, 900), (0, 1, 9), (0, 4, 0), (2, 5, 91)];
    assert_eq!(filter(&profile(&tree), None), profile(&expected));
}

#[test]
fn a_block_of_exactly_the_threshold_stays() {
    let tree = profile(&[(NO_PARENT, 0, 90), (0, 1, 0), (1, 2, 10)]);
    assert_eq!(filter(&tree, Some(0.1)), tree);
    assert_eq!(filter(&tree, Some(0.1001)), profile(&[(NO_PARENT, 0, 90), (0, 1, 10)]));
}

#[test]
fn the_threshold_is_at_least_half_a_percent() {
    let tree = profile(&[(NO_PARENT, 0, 10_000), (0, 1, 0), (1, 2, 49)]);
    for threshold in [0.0, -1.0, f64::NAN, 0.005] {
        assert_eq!(filter(&tree, Some(threshold)), profile(&[(NO_PARENT, 0, 10_000), (0, 1, 49)]));
    }
}

#[test]
fn the_root_is_never_small() {
    let tree = profile(&[(NO_PARENT, 0, 5), (0, 1, 5), (1, 2, 5)]);
    assert_eq!(filter(&tree, Some(7.0)), profile(&[(NO_PARENT, 0, 5), (0, 1, 10)]));
}

#[test]
fn a_total_of_zero_gives_the_input() {
    let tree = profile(&[(NO_PARENT, 0, 0), (0, 1, 0), (1, 2, 0)]);
    assert_eq!(filter(&tree, Some(0.5)), tree);
    assert_eq!(filter(&Profile::default(), None), Profile::default());
}

proptest! {
    #[test]
    fn filtering_keeps_the_total_and_does_nothing_the_second_time(profile in profiles(), threshold in prop::option::of(0.0..0.4)) {
        let once = filter(&profile, threshold);
        prop_assert_eq!(once.total(), profile.total());
        prop_assert_eq!(filter(&once, threshold), once);
    }

    #[test]
    fn what_is_left_below_the_root_has_a_large_parent(profile in profiles(), threshold in 0.005..0.4) {
        let left = filter(&profile, Some(threshold));
        let inclusive = inclusive_times(&left);
        let least = as_double(left.total()) * threshold;
        for (index, node) in left.nodes.iter().enumerate().skip(1) {
            prop_assert!(to_index(node.parent) < index, "parents come first");
            prop_assert!(node.parent == 0 || as_double(inclusive[to_index(node.parent)]) >= least);
        }
    }
}
