//! A trace as it came in becomes one that may be kept.

use bytes::Bytes;
use prost::Message as _;

use super::check::{Refusal, id, name};
use super::{fields, gzip};
use crate::graph::split::Split;
use crate::graph::stacks::{Stacks, comment, is_marked};
use crate::proto::perftools::profiles::Profile;
use crate::store::{NewTrace, TraceRow};

/// Bytes of a profile at most, not compressed. Decoded it takes up to some 40 times as much, and one is decoded at a time.
pub(crate) const MAX_PROFILE: usize = 8 << 20;
/// Fields of a profile at most: the smallest takes two bytes, and 70 when it is decoded.
const MAX_FIELDS: usize = 1 << 20;
/// How far ahead a sender's clock may be, in µs.
const MAX_AHEAD: i64 = 24 * 3_600 * 1_000_000;
/// What may be left out of a trace.
const MARKS: [&str; 2] = ["truncated", "thinned"];

/// A `TraceProfile` whose profile stays as it came.
#[derive(Clone, PartialEq, prost::Message)]
struct TraceMessage {
    #[prost(string, tag = "1")]
    trace_id: String,
    #[prost(string, tag = "3")]
    event_name: String,
    #[prost(string, tag = "4")]
    event_identifier: String,
    #[prost(bytes = "bytes", optional, tag = "5")]
    profile: Option<Bytes>,
}

/// Reads the bytes of a `TraceProfile`.
pub(crate) fn from_message(message: Bytes, now_us: i64) -> Result<NewTrace, Refusal> {
    let message = TraceMessage::decode(message)?;
    let trace_id = id("trace_id", &message.trace_id)?;
    let profile = message.profile.ok_or(Refusal::NoProfile)?;
    let (mut trace, _) = from_profile(&profile, trace_id, now_us)?;
    trace.row.event = name(&message.event_name);
    trace.row.identifier = name(&message.event_identifier);
    Ok(trace)
}

/// Reads a profile alone: event and identifier are its root's, which are divided by the first space.
pub(crate) fn from_profile(bytes: &Bytes, trace_id: String, now_us: i64) -> Result<(NewTrace, Stacks), Refusal> {
    let profile = decode(bytes)?;
    let stacks = Stacks::from_profile(&profile)?;
    let (event, identifier) = stacks.root().split_once(' ').unwrap_or((stacks.root(), ""));
    let started_us = profile.time_nanos / 1_000;
    let is_plausible = (1..=now_us.saturating_add(MAX_AHEAD)).contains(&started_us);
    let row = TraceRow {
        trace_id,
        received_us: now_us,
        started_us: if is_plausible { started_us } else { now_us },
        duration_us: stacks.total(),
        event: name(event),
        identifier: name(identifier),
        service: name(comment(&profile, "service")),
        environment: name(comment(&profile, "environment")),
        release: name(comment(&profile, "release")),
        marks: MARKS.into_iter().filter(|mark| is_marked(&profile, mark)).collect::<Vec<_>>().join(" "),
        split: Split::of(&stacks),
    };
    let pprof_gz = gzip::compress(bytes).map_err(Refusal::NotGzip)?;
    Ok((NewTrace { row, pprof_gz }, stacks))
}

/// Decodes a profile, after a look at how much would come of it.
pub(crate) fn decode(bytes: &Bytes) -> Result<Profile, Refusal> {
    if bytes.len() > MAX_PROFILE {
        return Err(Refusal::TooLarge { limit: MAX_PROFILE });
    }
    if fields::count(bytes.clone(), MAX_FIELDS)? > MAX_FIELDS {
        return Err(Refusal::TooLarge { limit: MAX_PROFILE });
    }
    Ok(Profile::decode(bytes.clone())?)
}

/// The stacks of a compressed profile that was checked when it came in.
pub(crate) fn stored_stacks(pprof_gz: &[u8]) -> Result<Stacks, Refusal> {
    let bytes = Bytes::from(gzip::expand(pprof_gz, MAX_PROFILE)?);
    Ok(Stacks::from_profile(&decode(&bytes)?)?)
}
