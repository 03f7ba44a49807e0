//! `profile_filter.json`: samples and a threshold, and the samples that are left.

use flame_on::__vectors::{self, Sample};
use serde::Deserialize;

use super::difference;

#[derive(Deserialize)]
pub(crate) struct Case {
    threshold: Option<f64>,
    samples: Vec<Sample>,
    expected: Vec<Sample>,
}

pub(crate) fn check(case: &Case) -> Result<(), String> {
    let mut got = __vectors::filter(&case.samples, case.threshold);
    got.sort();
    difference(&case.expected, &got)
}
