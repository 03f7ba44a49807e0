//! Why something that came in is refused.

use prost::DecodeError;

use crate::graph::stacks::BadProfile;

/// Why a request, or a part of one, is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    #[error("it is not the protobuf message that this call takes: {0}")]
    NotProtobuf(#[from] DecodeError),
    #[error("it is not the JSON of an error event: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("it ends in the middle of a field")]
    Truncated,
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{what} must be 1 to {MAX_ID} letters, digits, `-` or `_`")]
    BadId { what: &'static str },
    #[error("it has no profile")]
    NoProfile,
    #[error("its profile cannot be used: {0}")]
    BadProfile(#[from] BadProfile),
    #[error("it is not gzip: {0}")]
    NotGzip(#[source] std::io::Error),
}

/// Characters of an id. UUIDs have 36.
const MAX_ID: usize = 64;
/// Bytes of a name that become a column. What is longer is cut, with a hash of the whole behind it.
const MAX_NAME: usize = 512;

/// An id as it may stand in a URL and in a file name.
pub(crate) fn id(what: &'static str, text: &str) -> Result<String, Refusal> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(is_good) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Refusal::BadId { what })
}

/// A name of bounded length. Two long names that differ anywhere stay different.
pub(crate) fn name(text: &str) -> String {
    if text.len() <= MAX_NAME {
        return text.to_owned();
    }
    let start = (0..=MAX_NAME).rev().find_map(|end| text.get(..end)).unwrap_or_default();
    format!("{start}…{:016x}", crate::hash::of([text]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_be_anything_else_are_refused() {
        for bad in ["", "..", "a/b", "a%2f", "ä", "a\0", "<b>", &"a".repeat(65)] {
            assert!(id("trace_id", bad).is_err(), "{bad:?}");
        }
        assert_eq!(id("trace_id", "0AF7-1_z").ok().as_deref(), Some("0af7-1_z"));
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (one, other) = ("é".repeat(1_000), "é".repeat(1_001));
        assert!(name(&one).len() < MAX_NAME + 20);
        assert_ne!(name(&one), name(&other));
        assert_eq!(name("GET /"), "GET /");
    }
}
