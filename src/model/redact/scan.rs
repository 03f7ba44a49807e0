//! Places in a text. Every function takes any offset and any text, and gives offsets that are character boundaries.

use std::ops::Range;

/// Where the character at `at` ends.
pub(super) fn next_char(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(text.len(), |c| at + c.len_utf8())
}

/// The character before `at`.
pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// The first place from `from` on whose character `is_it`; else the end.
pub(super) fn find(text: &str, from: usize, is_it: impl Fn(char) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.find(is_it).map_or(text.len(), |found| from + found)
}

/// The characters of a key from `at` on: letters, digits, `_`, `-`, `.` and `%`.
pub(super) fn run(text: &str, at: usize) -> Range<usize> {
    at..find(text, at, |c| !is_of_key(c))
}

fn is_of_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '%')
}

/// The run with up to two more before it on the same line, each one space away: `api key`.
pub(super) fn with_words_before(text: &str, run: &Range<usize>) -> Range<usize> {
    let mut start = run.start;
    for _ in 0..2 {
        let Some(head) = text.get(..start).and_then(|head| head.strip_suffix(' ')) else { break };
        let word = head.len() - head.trim_end_matches(is_of_key).len();
        // Keys are short; without the bound a run of hyphens would be read again and again.
        if word == 0 || word > 64 {
            break;
        }
        start = head.len() - word;
    }
    start..run.end
}

/// Behind what may close a key: a bracket, and a quote with any number of backslashes.
pub(super) fn skip_closers(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let bracket = usize::from(rest.starts_with(']'));
    let rest = rest.get(bracket..).unwrap_or_default();
    let slashes = rest.len() - rest.trim_start_matches('\\').len();
    let is_quote = rest.get(slashes..).is_some_and(|rest| rest.starts_with(['"', '\'', '`']));
    at + bracket + if is_quote { slashes + 1 } else { 0 }
}

pub(super) fn skip_space(text: &str, at: usize) -> usize {
    find(text, at, |c| !matches!(c, ' ' | '\t'))
}

pub(super) fn skip_white(text: &str, at: usize) -> usize {
    find(text, at, |c| !c.is_whitespace())
}

/// Whether the quoted text that begins at `at` is the first of a list: `("` or `["` is before it.
pub(super) fn begins_list(text: &str, at: usize) -> bool {
    let head = text.get(..at).unwrap_or_default();
    head.strip_suffix(['"', '\''])
        .is_some_and(|head| head.trim_end_matches('\\').trim_end_matches(' ').ends_with(['(', '[']))
}

/// Whether a list ends at `at`.
pub(super) fn closes_list(text: &str, at: usize) -> bool {
    text.get(skip_white(text, at)..).is_some_and(|rest| rest.starts_with([')', ']']))
}

/// Where the value begins of which what ends at `at` is the key: behind a separator.
pub(super) fn named_by(text: &str, at: usize) -> Option<usize> {
    let spaced = skip_white(text, at);
    if before(text, at) == Some(':') {
        return Some(spaced);
    }
    let rest = text.get(spaced..)?;
    let length = ["=>", "=", ":"].into_iter().find(|mark| rest.starts_with(mark)).map(str::len)?;
    (!rest.starts_with("::")).then(|| skip_white(text, spaced + length))
}

/// The user info of the URL whose `://` is at `at`.
pub(super) fn user_info(text: &str, at: usize) -> Option<Range<usize>> {
    let start = at + text.get(at..)?.strip_prefix("://").map(|_| "://".len())?;
    let end = find(text, start, |c| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`'));
    let authority = text.get(start..end)?;
    let length = authority.rfind('@').filter(|length| *length > 0)?;
    Some(start..start + length)
}

/// Behind the letters before a quote: `b"…"`, `r"…"`, `br"…"`.
pub(super) fn skip_literal_prefix(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let prefix = ["br", "b", "r"]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '\''])));
    at + prefix.map_or(0, str::len)
}

/// Behind the name before a bracket: `Some(…)`, `Secret { … }`.
pub(super) fn skip_wrapper(text: &str, at: usize) -> usize {
    let named = find(text, at, |c| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '&')));
    let spaced = skip_space(text, named);
    let opens = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(['(', '{', '[']));
    if opens(named) {
        named
    } else if named > at && text.get(spaced..).is_some_and(|rest| rest.starts_with('{')) {
        spaced
    } else {
        at
    }
}

/// Where the bracketed group that begins at `at` ends; `None` when no bracket is there. An unclosed one goes to the
/// end of the text.
pub(super) fn group_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    if !rest.starts_with(['(', '{', '[']) {
        return None;
    }
    let (mut depth, mut slashes, mut level, mut is_quoted) = (0_usize, 0_usize, None, false);
    for (offset, c) in rest.char_indices() {
        match c {
            // The first quote says how deep in other texts this one is: `"` or `\"` or `\\\"`.
            '"' if slashes == *level.get_or_insert(slashes) => is_quoted = !is_quoted,
            '(' | '{' | '[' if !is_quoted => depth += 1,
            ')' | '}' | ']' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        slashes = if c == '\\' { slashes + 1 } else { 0 };
        if depth == 0 {
            return Some(at + offset + c.len_utf8());
        }
    }
    Some(text.len())
}

/// An opening quote, with the backslashes before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    start: usize,
    slashes: usize,
    mark: char,
}

impl Quote {
    /// The quote that begins at `at`.
    pub(super) fn at(text: &str, at: usize) -> Option<Self> {
        let rest = text.get(at..)?;
        let slashes = rest.len() - rest.trim_start_matches('\\').len();
        let mark = rest.get(slashes..)?.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
        Some(Self { start: at, slashes, mark })
    }

    /// Bytes of the quote at either end.
    pub(super) fn length(self) -> usize {
        self.slashes + 1
    }

    /// What is between this quote and the one that closes it, or the end of the text.
    pub(super) fn inner(self, text: &str) -> Range<usize> {
        let start = self.start + self.length();
        let mut slashes = 0;
        for (offset, c) in text.get(start..).unwrap_or_default().char_indices() {
            if c == self.mark && self.closes_after(slashes) {
                return start..start + offset - self.slashes;
            }
            slashes = if c == '\\' { slashes + 1 } else { 0 };
        }
        start..text.len()
    }

    /// Whether the mark behind so many backslashes is this text's own: in `"a\\"` it is, in `"a\"b"` it is not.
    fn closes_after(self, slashes: usize) -> bool {
        if self.slashes == 0 { slashes.is_multiple_of(2) } else { slashes == self.slashes }
    }
}
