//! A profile as bytes.

use std::io::Write as _;
use std::time::Duration;

use prost::Message as _;

use crate::model::profile::Profile;

use super::proto::perftools::profiles as pb;

pub(crate) struct ProfileMeta {
    pub(crate) time_unix_nanos: i64,
    pub(crate) duration: Duration,
    pub(crate) comments: Vec<String>,
}

pub(crate) fn pprof(profile: &Profile, meta: &ProfileMeta) -> Vec<u8> {
    let mut strings = vec![String::new(), "self_us".into(), "total_us".into(), "microseconds".into()];
    let mut add = |text: &str| {
        strings.push(text.to_owned());
        strings.len() as i64 - 1
    };
    let names = profile.frames.iter().map(|frame| add(frame)).collect::<Vec<_>>();
    let comment = meta.comments.iter().map(|comment| add(comment)).collect();
    let mut passed = 0;
    let mut sample = Vec::new();
    for (index, node) in profile.nodes.iter().enumerate() {
        let micros = ((passed + node.own.0) / 1_000 - passed / 1_000) as i64;
        passed += node.own.0;
        if micros > 0 {
            let location_id = stack(profile, index).map(|frame| u64::from(frame) + 1).collect();
            sample.push(pb::Sample { location_id, value: vec![micros, micros], label: Vec::new() });
        }
    }
    let ids = 1..=names.len() as u64;
    pb::Profile {
        sample_type: vec![pb::ValueType { r#type: 1, unit: 3 }, pb::ValueType { r#type: 2, unit: 3 }],
        sample,
        location: ids
            .clone()
            .map(|id| pb::Location { id, line: vec![pb::Line { function_id: id, line: 0 }], ..pb::Location::default() })
            .collect(),
        function: ids
            .zip(&names)
            .map(|(id, name)| pb::Function { id, name: *name, system_name: *name, ..pb::Function::default() })
            .collect(),
        string_table: strings,
        time_nanos: meta.time_unix_nanos,
        duration_nanos: i64::try_from(meta.duration.as_nanos()).unwrap_or(i64::MAX),
        comment,
        ..pb::Profile::default()
    }
    .encode_to_vec()
}

/// The frames of a path, leaf first.
fn stack(profile: &Profile, index: usize) -> impl Iterator<Item = u32> {
    std::iter::successors(profile.nodes.get(index), |node| profile.nodes.get(node.parent as usize))
        .map(|node| node.frame)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).ok();
    encoder.finish().unwrap_or_default()
}

pub(crate) fn collapsed(profile: &Profile) -> String {
    let mut passed = 0;
    let mut text = String::new();
    for (index, node) in profile.nodes.iter().enumerate() {
        let micros = (passed + node.own.0) / 1_000 - passed / 1_000;
        passed += node.own.0;
        if micros > 0 {
            let mut frames = stack(profile, index)
                .filter_map(|frame| profile.frames.get(frame as usize))
                .map(|name| name.replace(';', ":").replace(['\n', '\r'], " "))
                .collect::<Vec<_>>();
            frames.reverse();
            text.push_str(&format!("{} {micros}\n", frames.join(";")));
        }
    }
    text
}
