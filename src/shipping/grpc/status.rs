//! What a gRPC status means for a batch.

use std::error::Error as _;
use std::time::Duration;

use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::shipping::ship_error::{ShipError, shortened, text_of};

/// A server may ask for a longer wait, but a batch is not kept for longer than this.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// Whether the status comes from the connection and not from the server's answer.
pub(super) fn is_transport(status: &Status) -> bool {
    // Only what was made from another error has a source; what was read from headers has none.
    status.source().is_some()
}

/// Turns a status into what the shipper has to know.
///
/// | code | meaning |
/// |---|---|
/// | any, from the connection | retryable |
/// | `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `ABORTED`, `CANCELLED` | retryable |
/// | `INTERNAL`, `UNKNOWN` | retryable: a server's crash in between looks like this, and tries are bounded |
/// | `UNAUTHENTICATED`, `PERMISSION_DENIED` | denied: the key's fault, not the batch's |
/// | all others (`INVALID_ARGUMENT`, `UNIMPLEMENTED`, `OUT_OF_RANGE`, …) | permanent |
pub(super) fn to_ship_error(status: &Status, target: &str) -> ShipError {
    if let Some(source) = status.source().filter(|_| is_transport(status)) {
        return ShipError::retryable(format!("cannot ship to {target}: {}", text_of(source)));
    }
    let code = status.code();
    let text = format!("{target} answered {code:?}: {}", shortened(status.message()));
    match code {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled
        | Code::Internal
        | Code::Unknown => {
            let error = ShipError::retryable(text);
            match delay(status) {
                Some(delay) => error.retry_after(delay.min(MAX_DELAY)),
                None => error,
            }
        }
        Code::Unauthenticated | Code::PermissionDenied => ShipError::denied(text),
        _ => ShipError::permanent(text),
    }
}

/// The wait that the server asked for, in any of the three ways that are in use.
fn delay(status: &Status) -> Option<Duration> {
    let number = |metadata: &MetadataMap, key: &str| metadata.get(key)?.to_str().ok()?.trim().parse::<u64>().ok();
    retry_info(status.details())
        .or_else(|| number(status.metadata(), "grpc-retry-pushback-ms").map(Duration::from_millis))
        .or_else(|| number(status.metadata(), "retry-after").map(Duration::from_secs))
}

/// `google.rpc.Status`, as far as it is needed here.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`: a message and what it is.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Delay {
    /// `None` for a negative one.
    fn duration(self) -> Option<Duration> {
        let whole = Duration::from_secs(u64::try_from(self.seconds).ok()?);
        whole.checked_add(Duration::from_nanos(u64::try_from(self.nanos).ok()?))
    }
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?.duration()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn verdict(code: Code) -> ShipError {
        to_ship_error(&Status::new(code, "no"), "host:1")
    }

    #[test]
    fn a_code_decides_whether_to_try_again() {
        use Code::*;
        for code in [Unavailable, DeadlineExceeded, ResourceExhausted, Aborted, Cancelled, Internal, Unknown] {
            assert!(verdict(code).is_retryable(), "{code:?}");
        }
        for code in [Unauthenticated, PermissionDenied] {
            assert!(verdict(code).is_denied() && !verdict(code).is_retryable(), "{code:?}");
        }
        for code in [InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, OutOfRange, Unimplemented, DataLoss]
        {
            let error = verdict(code);
            assert!(!error.is_retryable() && !error.is_denied(), "{code:?}");
        }
    }

    #[test]
    fn the_message_names_the_server_and_is_bounded() {
        assert_eq!(verdict(Code::Unavailable).to_string(), "host:1 answered Unavailable: no");
        let long = to_ship_error(&Status::unavailable("x".repeat(1 << 20)), "host:1");
        assert!(long.to_string().len() < 1_100);
    }

    #[test]
    fn an_error_of_the_connection_is_retryable_whatever_its_code() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let status = Status::from_error(Box::new(refused));
        assert!(is_transport(&status));
        let error = to_ship_error(&status, "host:1");
        assert!(error.is_retryable());
        assert_eq!(error.to_string(), "cannot ship to host:1: connection refused");
    }

    #[test]
    fn a_servers_delay_is_honoured_within_bounds() {
        let with = |key: &'static str, value: &str| {
            let mut status = Status::unavailable("later");
            status.metadata_mut().insert(key, value.parse().unwrap());
            to_ship_error(&status, "host:1").delay()
        };
        assert_eq!(with("grpc-retry-pushback-ms", "1500"), Some(Duration::from_millis(1_500)));
        assert_eq!(with("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(with("retry-after", "99999999"), Some(MAX_DELAY));
        assert_eq!(with("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(with("grpc-retry-pushback-ms", "-1"), None);
    }

    #[test]
    fn a_delay_is_read_from_the_details() {
        let info = |seconds| {
            let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos: 0 }) };
            let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() };
            RpcStatus { details: vec![any] }.encode_to_vec()
        };
        let status = |details: Vec<u8>| Status::with_details(Code::Unavailable, "later", details.into());
        assert_eq!(delay(&status(info(12))), Some(Duration::from_secs(12)));
        assert_eq!(delay(&status(info(-12))), None);
        assert_eq!(delay(&status(b"garbage".to_vec())), None);
    }
}
