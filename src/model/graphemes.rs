//! Cutting texts where a reader sees characters end.

use unicode_segmentation::UnicodeSegmentation as _;

/// Bytes that a grapheme may take on average before a text is cut by bytes: a family of four emoji has 25, and one
/// letter under a thousand accents is no text.
const MAX_GRAPHEME_BYTES: usize = 16;

/// The most bytes that a text of so many graphemes may have.
pub(crate) fn max_bytes(graphemes: usize) -> usize {
    graphemes.saturating_mul(MAX_GRAPHEME_BYTES)
}

/// The first `max` graphemes of `text`.
pub(crate) fn first(text: &str, max: usize) -> &str {
    // No grapheme is shorter than a byte.
    if text.len() <= max {
        return text;
    }
    let text = first_bytes(text, max_bytes(max));
    match text.grapheme_indices(true).nth(max) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// Cuts `text` after `max` graphemes.
pub(crate) fn truncate(text: &mut String, max: usize) {
    let length = first(text, max).len();
    if length < text.len() {
        text.truncate(length);
        text.shrink_to_fit();
    }
}

/// As much of `text` as fits into `max` bytes.
pub(crate) fn first_bytes(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_takes_for_one_character_is_kept_or_cut_as_one() {
        for (text, max, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 3, "abc"),
            ("abcdef", 0, ""),
            ("🇩🇪🇩🇪🇩🇪", 2, "🇩🇪🇩🇪"),
            ("1️⃣2️⃣", 1, "1️⃣"),
            ("e\u{301}e\u{301}", 1, "e\u{301}"),
            ("กำกำ", 1, "กำ"),
            ("äöü", 2, "äö"),
        ] {
            assert_eq!(first(text, max), expected, "{text:?} {max}");
        }
    }

    #[test]
    fn one_endless_character_is_cut_by_bytes() {
        let text = format!("e{}", "\u{301}".repeat(100_000));
        assert!(first(&text, 10).len() <= max_bytes(10));
    }
}
