//! Error events to the server.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::{encode_length_delimiter, length_delimiter_len};

use super::GrpcAdapter;
use crate::encode::errors::encode_within;
use crate::encode::proto::flame_on::IngestErrorsResponse;
use crate::model::error_event::ErrorEvent;
use crate::shipping::adapter::{ShipContext, ShipperAdapter};
use crate::shipping::errors::ErrorBatch;
use crate::shipping::ship_error::ShipError;

const INGEST_ERRORS: &str = "/flame_on.FlameOnErrorIngest/IngestErrors";

/// The key of field 1, `events`, with a length.
const EVENTS: u8 = 1 << 3 | 2;

/// Key and length of an event in a request: one byte and at most five.
const HEADER_BYTES: usize = 6;

impl ShipperAdapter<ErrorBatch> for GrpcAdapter {
    /// In as few requests as the server's limit allows. A request that fails has the whole batch sent again: events
    /// have ids, so a server can tell.
    async fn ship(&self, batch: &ErrorBatch, context: &ShipContext) -> Result<(), ShipError> {
        for request in requests(batch.events(), self.max_message_bytes()) {
            let answer: IngestErrorsResponse = self.connection().call(INGEST_ERRORS, request, context.time_left).await?;
            if !answer.success {
                return Err(ShipError::rejected(&answer.warnings.join("; ")));
            }
        }
        Ok(())
    }

    async fn close(&self) {
        self.connection().close();
    }
}

/// The events as `IngestErrorsRequest`s of at most `max_bytes`. One that is larger goes with less detail, or not at all.
fn requests(events: &[ErrorEvent], max_bytes: usize) -> Vec<Bytes> {
    let mut requests = Vec::new();
    let mut request = BytesMut::new();
    for event in events {
        let Some((encoded, _)) = encode_within(event, max_bytes.saturating_sub(HEADER_BYTES)) else { continue };
        let length = 1 + length_delimiter_len(encoded.len()) + encoded.len();
        if !request.is_empty() && request.len() + length > max_bytes {
            requests.push(request.split().freeze());
        }
        request.reserve(length);
        request.put_u8(EVENTS);
        // Fails only when there is no room, and a growing buffer has room.
        encode_length_delimiter(encoded.len(), &mut request).ok();
        request.put_slice(&encoded);
    }
    if !request.is_empty() {
        requests.push(request.freeze());
    }
    requests
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::encode::errors::encode;
    use crate::encode::errors::tests::full;
    use crate::encode::proto::flame_on::IngestErrorsRequest;

    #[test]
    fn a_batch_is_split_below_the_limit_and_keeps_its_order() {
        let events: Vec<_> = (1..=10).map(full).collect();
        let one = encode(&full(1)).len() + HEADER_BYTES;
        let requests = requests(&events, 3 * one);
        assert_eq!(requests.len(), 4);
        assert!(requests.iter().all(|request| request.len() <= 3 * one));
        let ids = requests.iter().flat_map(|request| IngestErrorsRequest::decode(request.clone()).unwrap().events);
        let ids: Vec<_> = ids.map(|event| event.event_id).collect();
        assert_eq!(ids, events.iter().map(|event| event.event_id.to_string()).collect::<Vec<_>>());
    }
}
