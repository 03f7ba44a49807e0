//! The bytes of a request, put together from profiles that are encoded already.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{encode_length_delimiter, length_delimiter_len};

use crate::shipping::trace::Trace;

/// The key of a field that has a length: its number, and wire type 2.
const fn key(field: u8) -> u8 {
    assert!(field < 16, "larger field numbers take a second byte");
    field << 3 | 2
}

const TRACES: u8 = key(1);
const TRACE_ID: u8 = key(1);
const EVENT_NAME: u8 = key(3);
const EVENT_IDENTIFIER: u8 = key(4);
const PROFILE: u8 = key(5);

/// The traces as an `IngestRequest`.
pub(super) fn ingest_request(traces: &[Trace]) -> Bytes {
    // One profile after the other, so that only one of them exists beside the request.
    let mut request = BytesMut::new();
    for trace in traces {
        put_trace(&mut request, trace);
    }
    request.freeze()
}

/// The trace as an element of `IngestRequest.traces`.
fn put_trace(request: &mut BytesMut, trace: &Trace) {
    let id = trace.id().to_string();
    let profile = trace.pprof();
    let fields = [
        (TRACE_ID, id.as_bytes()),
        (EVENT_NAME, trace.event_name().as_bytes()),
        (EVENT_IDENTIFIER, trace.identifier().as_bytes()),
        (PROFILE, profile.as_slice()),
    ];
    let length = fields.iter().map(|(_, content)| 1 + length_delimiter_len(content.len()) + content.len()).sum();
    request.reserve(1 + length_delimiter_len(length) + length);
    put_header(request, TRACES, length);
    for (key, content) in fields {
        put_header(request, key, content.len());
        request.put_slice(content);
    }
}

fn put_header(request: &mut BytesMut, key: u8, length: usize) {
    request.put_u8(key);
    // Fails only when there is no room, and a growing buffer has room.
    encode_length_delimiter(length, request).ok();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::encode::proto::flame_on::{IngestRequest, TraceProfile};
    use crate::encode::proto::perftools::profiles::Profile;
    use crate::shipping::trace::TraceParts;
    use crate::shipping::trace::tests::{parts, trace};

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
        let request = ingest_request(&traces);
        assert_eq!(IngestRequest::decode(request.clone()).unwrap(), expected);
        assert_eq!(request, expected.encode_to_vec());
    }

    #[test]
    fn empty_names_do_no_harm() {
        let bare = Trace::new(TraceParts { event_name: "".into(), identifier: "".into(), ..parts(1) });
        let request = IngestRequest::decode(ingest_request(&[bare])).unwrap();
        assert_eq!(request.traces[0].event_name, "");
        assert!(request.traces[0].profile.is_some());
    }
}
