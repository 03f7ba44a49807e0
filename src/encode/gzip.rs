//! Compression for what is shipped or written as a file.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// `bytes` in gzip format, at the default level. The header carries no time, so equal input gives equal output.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // The only error is the sink's, and a vector takes everything.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_compressed_comes_back_and_is_the_same_each_time() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let zipped = gzip(&bytes);
        let mut back = Vec::new();
        let read = GzDecoder::new(zipped.as_slice()).read_to_end(&mut back);
        assert!(read.is_ok_and(|length| length == bytes.len()));
        assert_eq!(back, bytes);
        assert!(zipped.len() < bytes.len() / 2);
        assert_eq!(gzip(&bytes), zipped);
    }
}
