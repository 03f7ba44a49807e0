//! A profile as bytes.

use crate::model::profile::{Profile, ProfileNode};

pub(crate) mod gzip {
    use std::io::Write as _;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
    }
}

pub(crate) mod proto {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

    pub mod flame_on {
        include!(concat!(env!("OUT_DIR"), "/flame_on.rs"));
    }

    pub mod perftools {
        pub mod profiles {
            include!(concat!(env!("OUT_DIR"), "/perftools.profiles.rs"));
        }
    }
}

/// Calls `each` with every path that has a whole microsecond of its own.
fn samples(profile: &Profile, mut each: impl FnMut(&ProfileNode, u64)) {
    let mut passed = 0;
    for node in &profile.nodes {
        let micros = (passed + node.own.0) / 1_000 - passed / 1_000;
        passed += node.own.0;
        if micros > 0 {
            each(node, micros);
        }
    }
}

/// The frames of a path, leaf first.
fn stack<'a>(profile: &'a Profile, node: &'a ProfileNode) -> impl Iterator<Item = u32> + 'a {
    std::iter::successors(Some(node), |node| profile.nodes.get(node.parent as usize)).map(|node| node.frame)
}

pub(crate) mod collapsed {
    use super::{Profile, ProfileNode, samples, stack};
    use crate::model::time::Nanos;

    pub(crate) fn paths(profile: &Profile) -> impl Iterator<Item = (String, Nanos)> {
        profile.nodes.iter().filter(|node| node.own.0 > 0).map(|node| (path(profile, node), node.own))
    }

    fn path(profile: &Profile, node: &ProfileNode) -> String {
        let mut frames = stack(profile, node)
            .filter_map(|frame| profile.frames.get(frame as usize))
            .map(|name| name.replace(';', ":").replace(['\n', '\r'], " "))
            .collect::<Vec<_>>();
        frames.reverse();
        frames.join(";")
    }

    pub(crate) fn collapsed(profile: &Profile) -> String {
        let mut text = String::new();
        samples(profile, |node, micros| text.push_str(&format!("{} {micros}\n", path(profile, node))));
        text
    }
}

pub(crate) mod pprof {
    use prost::Message as _;

    use super::proto::perftools::profiles as pb;
    use super::{Profile, samples, stack};
    use crate::model::time::Nanos;

    pub(crate) struct ProfileMeta<'a> {
        pub(crate) time_unix_nanos: i64,
        pub(crate) duration: Nanos,
        pub(crate) comments: &'a [String],
    }

    pub(crate) fn encode(profile: &Profile, meta: &ProfileMeta<'_>) -> Vec<u8> {
        let mut strings = vec![String::new(), "self_us".into(), "total_us".into(), "microseconds".into()];
        let mut add = |text: &str| {
            strings.push(text.to_owned());
            strings.len() as i64 - 1
        };
        let names = profile.frames.iter().map(|frame| add(frame)).collect::<Vec<_>>();
        let comment = meta.comments.iter().map(|comment| add(comment)).collect();
        let mut sample = Vec::new();
        samples(profile, |node, micros| {
            let location_id = stack(profile, node).map(|frame| u64::from(frame) + 1).collect();
            sample.push(pb::Sample { location_id, value: vec![micros as i64; 2], label: Vec::new() });
        });
        let ids = 1..=names.len() as u64;
        let line = |id| vec![pb::Line { function_id: id, line: 0 }];
        pb::Profile {
            sample_type: vec![pb::ValueType { r#type: 1, unit: 3 }, pb::ValueType { r#type: 2, unit: 3 }],
            sample,
            location: ids.clone().map(|id| pb::Location { id, line: line(id), ..pb::Location::default() }).collect(),
            function: ids
                .zip(&names)
                .map(|(id, name)| pb::Function { id, name: *name, system_name: *name, ..pb::Function::default() })
                .collect(),
            string_table: strings,
            time_nanos: meta.time_unix_nanos,
            duration_nanos: meta.duration.0 as i64,
            comment,
            ..pb::Profile::default()
        }
        .encode_to_vec()
    }
}
