//! Error events to the server.

use super::{Answer, GrpcAdapter, body};
use crate::encode::proto::flame_on::IngestErrorsResponse;
use crate::shipping::adapter::{ShipContext, ShipperAdapter};
use crate::shipping::errors::ErrorBatch;
use crate::shipping::ship_error::ShipError;

impl Answer for IngestErrorsResponse {
    const PATH: &str = "/flame_on.FlameOnErrorIngest/IngestErrors";

    fn verdict(self) -> Result<(), ShipError> {
        if self.success { Ok(()) } else { Err(ShipError::rejected(&self.warnings.join("; "))) }
    }
}

impl ShipperAdapter<ErrorBatch> for GrpcAdapter {
    async fn ship(&self, batch: &ErrorBatch, context: &ShipContext) -> Result<(), ShipError> {
        let pieces = body::error_pieces(batch.events(), self.0.max_message_bytes());
        self.ship_pieces::<IngestErrorsResponse>(pieces, context).await
    }

    async fn close(&self) {
        self.0.close();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::encode::errors::encode;
    use crate::encode::errors::tests::full;
    use crate::encode::proto::flame_on::IngestErrorsRequest;
    use crate::shipping::grpc::body::Piece;

    #[test]
    fn a_batch_is_split_below_the_limit_and_keeps_its_order() {
        let events: Vec<_> = (1..=10).map(full).collect();
        let limit = 3 * (encode(&full(1)).len() + 6);
        let (mut ids, mut requests) = (Vec::new(), 0);
        for piece in body::error_pieces(&events, limit) {
            let Piece::Request { bytes, items } = piece else { panic!("{piece:?}") };
            assert!(bytes.len() <= limit);
            let request = IngestErrorsRequest::decode(bytes).unwrap();
            assert_eq!(request.events.len(), items);
            ids.extend(request.events.into_iter().map(|event| event.event_id));
            requests += 1;
        }
        assert_eq!(requests, 4);
        assert_eq!(ids, events.iter().map(|event| event.event_id.to_string()).collect::<Vec<_>>());
    }
}
