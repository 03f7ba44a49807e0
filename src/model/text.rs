//! Text with a limit in bytes.

use std::fmt;

/// Stands where text was cut off.
const CUT_MARK: char = '…';

/// Collects what is formatted into it up to a limit; past it the text ends in `…` and the formatting stops.
pub(crate) struct BoundedText {
    text: String,
    max_bytes: usize,
    is_cut: bool,
}

impl BoundedText {
    /// Room for `max_bytes`, the mark of a cut among them.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { text: String::new(), max_bytes, is_cut: false }
    }

    /// What was written.
    pub(crate) fn into_string(self) -> String {
        self.text
    }

    fn cut_in(&mut self, rest: &str) {
        let room = self.max_bytes.saturating_sub(CUT_MARK.len_utf8());
        self.text.truncate(floor_char_boundary(&self.text, room));
        self.text.push_str(rest.get(..floor_char_boundary(rest, room - self.text.len())).unwrap_or_default());
        self.text.push(CUT_MARK);
        self.is_cut = true;
    }
}

impl fmt::Write for BoundedText {
    /// Fails at the limit, so that nothing more is formatted.
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        if s.len() > self.max_bytes - self.text.len() {
            self.cut_in(s);
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}

/// `text` itself, or what fits into `max_bytes` with `…` at its end.
pub(crate) fn cut(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(floor_char_boundary(&text, max_bytes.saturating_sub(CUT_MARK.len_utf8())));
        text.push(CUT_MARK);
        // A text that was far too long must not go on holding its memory.
        text.shrink_to_fit();
    }
    text
}

/// As `str::floor_char_boundary`, which came after this crate's minimum Rust version.
fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn text_up_to_the_limit_stays_whole() {
        assert_eq!(cut("12345".to_owned(), 5), "12345");
        let mut text = BoundedText::new(5);
        assert!(write!(text, "12{}", 345).is_ok());
        assert_eq!(text.into_string(), "12345");
    }

    #[test]
    fn longer_text_ends_in_the_mark_within_the_limit() {
        assert_eq!(cut("1234567".to_owned(), 6), "123…");
        assert_eq!(cut("ääää".to_owned(), 6), "ä…");
    }

    #[test]
    fn a_cut_text_takes_no_more_and_takes_back_what_the_mark_needs() {
        let mut text = BoundedText::new(6);
        assert!(text.write_str("12345").is_ok());
        assert!(text.write_str("ää").is_err());
        assert!(text.write_str("6").is_err());
        assert_eq!(text.into_string(), "123…");

        let mut text = BoundedText::new(8);
        assert!(text.write_str("1ä").is_ok());
        assert!(text.write_str("äääää").is_err());
        assert_eq!(text.into_string(), "1ää…");
    }
}
