//! The bytes of a request, put together from profiles or events that are encoded already.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{encode_length_delimiter, length_delimiter_len};

use crate::encode::errors::encode_within;
use crate::model::error_event::ErrorEvent;
use crate::shipping::trace::Trace;

/// The key of a field that has a length: its number, and wire type 2.
const fn key(field: u8) -> u8 {
    assert!(field < 16, "larger field numbers take a second byte");
    field << 3 | 2
}

const TRACES: u8 = key(1);
const EVENTS: u8 = key(1);
const TRACE_ID: u8 = key(1);
const EVENT_NAME: u8 = key(3);
const EVENT_IDENTIFIER: u8 = key(4);
const PROFILE: u8 = key(5);

/// A part of a batch.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// A request with the next `items` traces or error events.
    Request { bytes: Bytes, items: usize },
    /// The next trace, of which not even the root fits into a request, or the next event.
    TooLarge,
}

/// The pieces of a batch of traces.
pub(super) fn pieces(traces: &[Trace], limit: usize) -> impl Iterator<Item = Piece> + Send {
    joined(traces.iter().map(move |trace| element(trace, limit)), limit)
}

/// The pieces of a batch of error events.
pub(super) fn error_pieces(events: &[ErrorEvent], limit: usize) -> impl Iterator<Item = Piece> + Send {
    joined(events.iter().map(move |event| error_element(event, limit)), limit)
}

/// Joins elements to requests of at most `limit` bytes each, made one at a time, so that only one of them exists beside
/// the element that comes next. `None` is one that does not fit.
fn joined(elements: impl Iterator<Item = Option<BytesMut>> + Send, limit: usize) -> impl Iterator<Item = Piece> + Send {
    let mut elements = elements.peekable();
    std::iter::from_fn(move || {
        let Some(first) = elements.next()? else { return Some(Piece::TooLarge) };
        let (mut request, mut items) = (first, 1);
        let fits = |request: &BytesMut, next: &Option<BytesMut>| {
            next.as_ref().is_some_and(|next| request.len() + next.len() <= limit)
        };
        while let Some(Some(next)) = elements.next_if(|next| fits(&request, next)) {
            request.unsplit(next);
            items += 1;
        }
        Some(Piece::Request { bytes: request.freeze(), items })
    })
}

/// The event as an element of `IngestErrorsRequest.events`, in at most `limit` bytes.
fn error_element(event: &ErrorEvent, limit: usize) -> Option<BytesMut> {
    // A key, and at most five bytes for a length.
    let (event, _) = encode_within(event, limit.checked_sub(1 + 5)?)?;
    let mut element = BytesMut::with_capacity(field_len(event.len()));
    put_header(&mut element, EVENTS, event.len());
    element.put_slice(&event);
    Some(element)
}

/// The trace as an element of `IngestRequest.traces`, in at most `limit` bytes.
fn element(trace: &Trace, limit: usize) -> Option<BytesMut> {
    let id = trace.id().to_string();
    let names = [(TRACE_ID, id.as_bytes()), (EVENT_NAME, trace.event_name().as_bytes())];
    let names = names.into_iter().chain([(EVENT_IDENTIFIER, trace.identifier().as_bytes())]);
    let around: usize = names.clone().map(|(_, name)| field_len(name.len())).sum();
    // The keys and lengths of the profile and of the element itself: at most five bytes for a length.
    let profile = trace.pprof_within(limit.checked_sub(around + 2 * (1 + 5))?)?;
    let length = around + field_len(profile.len());
    let mut element = BytesMut::with_capacity(field_len(length));
    put_header(&mut element, TRACES, length);
    for (key, content) in names.chain([(PROFILE, profile.as_slice())]) {
        put_header(&mut element, key, content.len());
        element.put_slice(content);
    }
    Some(element)
}

fn field_len(content: usize) -> usize {
    1 + length_delimiter_len(content) + content
}

fn put_header(request: &mut BytesMut, key: u8, length: usize) {
    request.put_u8(key);
    // Fails only when there is no room, and a growing buffer has room.
    encode_length_delimiter(length, request).ok();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::encode::proto::flame_on::{IngestRequest, TraceProfile};
    use crate::encode::proto::perftools::profiles::Profile;
    use crate::shipping::trace::TraceParts;
    use crate::shipping::trace::tests::{parts, trace};

    /// All in one request.
    fn whole(traces: &[Trace]) -> Bytes {
        match pieces(traces, usize::MAX).collect::<Vec<_>>().pop() {
            Some(Piece::Request { bytes, items }) if items == traces.len() => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_is_split_below_the_limit_in_its_order_and_nothing_is_left_out() {
        let traces: Vec<Trace> = (1..=20).map(trace).collect();
        let one = element(&traces[0], 1 << 20).unwrap().len();
        for limit in [one + 12, 2 * one, 3 * one + 5, 100 * one] {
            let mut ids = Vec::new();
            for piece in pieces(&traces, limit) {
                let Piece::Request { bytes, items } = piece else { panic!("{piece:?}") };
                assert!(bytes.len() <= limit, "{} {limit}", bytes.len());
                let request = IngestRequest::decode(bytes).unwrap();
                assert_eq!(request.traces.len(), items);
                ids.extend(request.traces.into_iter().map(|trace| trace.trace_id));
            }
            assert_eq!(ids, traces.iter().map(|trace| trace.id().to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_trace_that_cannot_fit_does_not_take_its_neighbours_along() {
        let bulky = Trace::new(TraceParts { identifier: "x".repeat(5_000).into(), ..parts(2) });
        let pieces: Vec<_> = pieces(&[trace(1), bulky, trace(3)], 2_000).collect();
        let counts = pieces.iter().map(|piece| match piece {
            Piece::Request { items, .. } => *items,
            Piece::TooLarge => 0,
        });
        assert_eq!(counts.collect::<Vec<_>>(), [1, 0, 1]);
    }

    #[test]
    fn it_is_what_the_generated_code_would_have_made() {
        let long = Trace::new(TraceParts { identifier: "x".repeat(1_000).into(), ..parts(7) });
        let traces = [trace(1), trace(2), long];
        let expected = IngestRequest {
            traces: traces
                .iter()
                .map(|trace| TraceProfile {
                    trace_id: trace.id().to_string(),
                    event_name: trace.event_name().to_owned(),
                    event_identifier: trace.identifier().to_owned(),
                    profile: Some(Profile::decode(&*trace.pprof()).unwrap()),
                })
                .collect(),
        };
        let request = whole(&traces);
        assert_eq!(IngestRequest::decode(request.clone()).unwrap(), expected);
        assert_eq!(request, expected.encode_to_vec());
    }

    #[test]
    fn empty_names_do_no_harm() {
        let bare = Trace::new(TraceParts { event_name: "".into(), identifier: "".into(), ..parts(1) });
        let request = IngestRequest::decode(whole(&[bare])).unwrap();
        assert_eq!(request.traces[0].event_name, "");
        assert!(request.traces[0].profile.is_some());
    }
}
