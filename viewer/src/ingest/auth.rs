//! The API key of a call.

use std::fmt;

use tonic::Status;
use tonic::metadata::MetadataMap;

/// The key that every call has to carry. Never printed.
#[derive(Clone)]
pub(crate) struct ApiKey(String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl ApiKey {
    pub(crate) fn new(key: String) -> Self {
        Self(key)
    }

    /// Lets a call pass whose `authorization` is `Bearer <key>`.
    pub(crate) fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let given = metadata.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match given.strip_prefix("Bearer ") {
            Some(key) if is_equal(key.as_bytes(), self.0.as_bytes()) => Ok(()),
            Some(_) => Err(Status::unauthenticated("the API key is not the one of this viewer")),
            None => Err(Status::unauthenticated("this viewer wants an API key: `authorization: Bearer <key>`")),
        }
    }
}

/// Takes equally long wherever they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}
