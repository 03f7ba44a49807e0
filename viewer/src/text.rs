//! Untrusted text, made fit to be shown.

use std::fmt::Write as _;

/// `text` with at most `limit` characters. What a terminal, a browser or a reader would obey instead of show (control
/// characters, marks that turn the writing direction, invisible ones) is spelled out.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit + 16));
    let mut rest = text.chars();
    for c in rest.by_ref().take(limit) {
        match c {
            ' '..='~' => shown.push(c),
            c if is_deceptive(c) => {
                // Writing into a string cannot fail.
                write!(shown, "\\u{{{:x}}}", u32::from(c)).ok();
            }
            c => shown.push(c),
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// As [`shown`], with line breaks and tabs as they are: for what is shown in lines.
pub(crate) fn lines(text: &str, limit: usize) -> String {
    let parts = text.split_inclusive(['\n', '\t']);
    let mut shown_lines = String::new();
    let mut left = limit;
    for part in parts {
        let count = part.chars().count();
        let (body, end) = match part.char_indices().next_back() {
            Some((at, end @ ('\n' | '\t'))) => (&part[..at], Some(end)),
            _ => (part, None),
        };
        shown_lines.push_str(&shown(body, left));
        if count > left {
            break;
        }
        shown_lines.extend(end);
        left -= count;
    }
    shown_lines
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{ad}' | '\u{180e}')
}

#[cfg(test)]
mod tests {
    use super::{lines, shown};

    #[test]
    fn what_would_be_obeyed_is_spelled_out() {
        assert_eq!(shown("a\u{202e}b\u{0}c\u{200b}é\u{feff}", 99), "a\\u{202e}b\\u{0}c\\u{200b}é\\u{feff}");
        assert_eq!(shown("<script>alert(1)</script>", 99), "<script>alert(1)</script>");
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character() {
        assert_eq!(shown("ééé", 2), "éé…");
        assert_eq!(shown("éé", 2), "éé");
        assert!(shown(&"x".repeat(1 << 20), 100).len() < 110);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\n\tb\u{202e}\r\nc", 99), "a\n\tb\\u{202e}\\u{d}\nc");
        assert_eq!(lines("ab\ncd", 4), "ab\nc…");
        assert!(lines(&"x\n".repeat(1 << 20), 100).len() < 110);
    }
}
