//! Values that are secret whatever they are called, and where a value without quotes ends.

use std::ops::Range;

use super::scan;

/// Words that are followed by credentials.
const SCHEMES: [&str; 7] = ["basic", "bearer", "digest", "negotiate", "token", "apikey", "ntlm"];

/// Shorter than this, what follows `Bearer` is rather a word of a sentence.
const MIN_BEARER: usize = 16;

/// The shortest JSON web token has longer parts.
const MIN_WEB_TOKEN: usize = 20;

/// The credentials that follow the scheme at `run`.
pub(super) fn credentials(text: &str, run: &Range<usize>) -> Option<Range<usize>> {
    let scheme = text.get(run.clone())?;
    let start = scan::skip_space(text, run.end);
    if start == run.end {
        return None;
    }
    let end = scan::find(text, start, |c| !is_of_credentials(c));
    let word = text.get(start..end)?;
    let is_secret = (scheme.eq_ignore_ascii_case("bearer") && is_bearer(word))
        || (scheme.eq_ignore_ascii_case("basic") && has_colon_inside(word));
    is_secret.then_some(start..end)
}

fn is_of_credentials(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '.' | '~' | '=')
}

fn is_bearer(word: &str) -> bool {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    word.len() >= MIN_BEARER || (word.len() >= 4 && has_digit)
}

/// Whether it is the base64 of `user:password`.
fn has_colon_inside(word: &str) -> bool {
    base64(word).is_some_and(|bytes| bytes.contains(&b':'))
}

/// The bytes that `word` encodes, in either alphabet, with or without padding.
fn base64(word: &str) -> Option<Vec<u8>> {
    let digits = word.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in digits.bytes() {
        bits = bits << 6 | u32::from(sextet(byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
        bits &= (1 << count) - 1;
    }
    Some(bytes)
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether it looks like a JSON web token: three parts, the first the base64 of `{"`.
pub(super) fn is_web_token(run: &str) -> bool {
    run.len() >= MIN_WEB_TOKEN && run.starts_with("eyJ") && run.bytes().filter(|byte| *byte == b'.').count() >= 2
}

/// Where a value without quotes ends. The credentials behind a scheme are a part of it.
pub(super) fn bare_end(text: &str, start: usize) -> usize {
    let end = scan::find(text, start, ends_bare);
    let is_scheme =
        text.get(start..end).is_some_and(|word| SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)));
    let next = scan::skip_space(text, end);
    if is_scheme && next > end { scan::find(text, next, ends_bare) } else { end }
}

fn ends_bare(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '&' | ')' | '}' | ']' | '"' | '\'' | '`' | '<' | '>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_both_alphabets() {
        assert_eq!(base64("dXNlcjpwYXNz").as_deref(), Some(&b"user:pass"[..]));
        assert_eq!(base64("Pz8_").as_deref(), Some(&b"???"[..]));
        assert_eq!(base64("YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(base64("authentication").map(|bytes| bytes.contains(&b':')), Some(false));
        assert_eq!(base64("no!"), None);
    }
}
