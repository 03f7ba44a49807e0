//! The bytes of a request, part by part: what is good is kept, what is bad is refused by itself.

use bytes::Bytes;

use super::check::Refusal;
use super::{error_event, fields, trace};
use crate::store::{Store, StoreError, retention};

/// The field of both requests that holds their parts.
const PARTS: u32 = 1;
/// Parts that are put into the store at once.
const CHUNK: usize = 64;
/// Refusals that an answer lists.
const MAX_WARNINGS: usize = 10;

/// What has become of a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kept: usize,
    pub(crate) refused: usize,
    /// Why, for the first few.
    pub(crate) warnings: Vec<String>,
}

/// Why a request is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the request cannot be read: {0}")]
    Unreadable(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the traces of an `IngestRequest`.
pub(crate) fn take_traces(store: &Store, request: &Bytes) -> Result<Outcome, RequestError> {
    take(request, "trace", trace::from_message, |traces| store.put_traces(traces))
}

/// Keeps the events of an `IngestErrorsRequest`.
pub(crate) fn take_errors(store: &Store, request: &Bytes) -> Result<Outcome, RequestError> {
    take(request, "event", error_event::from_message, |events| store.put_errors(events))
}

fn take<T>(
    request: &Bytes,
    what: &str,
    read: impl Fn(Bytes, i64) -> Result<T, Refusal>,
    put: impl Fn(&[T]) -> Result<(), StoreError>,
) -> Result<Outcome, RequestError> {
    // The whole frame first: a request that was cut leaves nothing behind.
    for part in fields::repeated(request.clone(), PARTS) {
        part?;
    }
    let now = retention::now_us();
    let mut outcome = Outcome::default();
    let mut good = Vec::with_capacity(CHUNK);
    for (at, part) in fields::repeated(request.clone(), PARTS).enumerate() {
        match part.and_then(|part| read(part, now)) {
            Ok(part) => good.push(part),
            Err(refusal) => outcome.refuse(format!("{what} {at}: {refusal}")),
        }
        if good.len() >= CHUNK {
            outcome.keep(&mut good, &put)?;
        }
    }
    outcome.keep(&mut good, &put)?;
    Ok(outcome)
}

impl Outcome {
    fn refuse(&mut self, why: String) {
        self.refused += 1;
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(why);
        }
    }

    fn keep<T>(&mut self, good: &mut Vec<T>, put: impl Fn(&[T]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        if !good.is_empty() {
            put(good)?;
            self.kept += good.len();
            good.clear();
        }
        Ok(())
    }
}
