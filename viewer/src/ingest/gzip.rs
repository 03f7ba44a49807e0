//! Compression, with a bound on what comes out.

use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::check::Refusal;

/// Compresses, quickly: it is done for every trace.
pub(crate) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Expands to at most `limit` bytes: a bomb ends there.
pub(crate) fn expand(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut expanded = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes).take(one_more).read_to_end(&mut expanded).map_err(Refusal::NotGzip)?;
    if expanded.len() > limit { Err(Refusal::TooLarge { limit }) } else { Ok(expanded) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = compress(&vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(expand(&bomb, 1 << 20), Err(Refusal::TooLarge { limit }) if limit == 1 << 20));
    }

    #[test]
    fn what_was_compressed_expands_and_half_of_it_does_not() {
        let packed = compress(b"a profile").unwrap();
        assert_eq!(expand(&packed, 9).unwrap(), b"a profile");
        assert!(matches!(expand(&packed[..packed.len() / 2], 9), Err(Refusal::NotGzip(_))));
    }
}
