//! Secrets in URLs: in the user info, the query, the fragment, and in what these have encoded in them.

use std::borrow::Cow;

use super::keys::SecretKeys;
use super::scan;
use super::text;
use crate::model::error_event::REDACTED;

/// `url` without its secrets. Takes any text.
pub(crate) fn redacted(url: &str, keys: &SecretKeys) -> String {
    let mut clean = String::with_capacity(url.len());
    let mut at = 0;
    while at < url.len() {
        let end = scan::find(url, at, |c| matches!(c, '?' | '#'));
        let part = url.get(at..end).unwrap_or_default();
        // Before the first mark is scheme, authority and path; behind one are pairs.
        if at == 0 {
            clean.push_str(&text::redacted(part, keys));
        } else {
            push_pairs(&mut clean, part, keys);
        }
        let next = scan::next_char(url, end);
        clean.push_str(url.get(end..next).unwrap_or_default());
        at = next;
    }
    clean
}

fn push_pairs(clean: &mut String, mut pairs: &str, keys: &SecretKeys) {
    while !pairs.is_empty() {
        let end = pairs.find(['&', ';']).unwrap_or(pairs.len());
        let (pair, rest) = pairs.split_at(end);
        push_pair(clean, pair, keys);
        let mark = usize::from(!rest.is_empty());
        clean.push_str(rest.get(..mark).unwrap_or_default());
        pairs = rest.get(mark..).unwrap_or_default();
    }
}

fn push_pair(clean: &mut String, pair: &str, keys: &SecretKeys) {
    let Some((key, value)) = pair.split_once('=') else {
        return clean.push_str(&text::redacted(pair, keys));
    };
    let key_text = decoded(key);
    clean.push_str(&text::redacted(key, keys));
    clean.push('=');
    let value_text = decoded(value);
    let hides_more = matches!(text::redacted(&value_text, keys), Cow::Owned(_));
    if !value.is_empty() && (keys.is_secret(&key_text) || hides_more) {
        clean.push_str(REDACTED);
    } else {
        clean.push_str(value);
    }
}

/// `text` with its `%XX` and `+` decoded; bytes that are not UTF-8 become `U+FFFD`.
pub(super) fn decoded(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.first_chunk()).flatten().and_then(|[high, low]| hex(*high, *low));
        match hex {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(url: &str) -> String {
        redacted(url, &SecretKeys::default())
    }

    #[test]
    fn only_secret_values_go() {
        for (url, expected) in [
            ("/users/7?page=2&token=x&sort=a", "/users/7?page=2&token=[REDACTED]&sort=a"),
            ("https://h/x?access%5Ftoken=x", "https://h/x?access%5Ftoken=[REDACTED]"),
            ("/x?user[password]=x", "/x?user[password]=[REDACTED]"),
            ("/x?user%5Bpassword%5D=x", "/x?user%5Bpassword%5D=[REDACTED]"),
            ("https://user:pass@h:8080/x", "https://[REDACTED]@h:8080/x"),
            ("/cb#access_token=x&state=1", "/cb#access_token=[REDACTED]&state=1"),
            ("/x?next=%2Flogin%3Ftoken%3Dx&a=1", "/x?next=[REDACTED]&a=1"),
            ("/x?next=%252Flogin%253Ftoken%253Dx", "/x?next=[REDACTED]"),
            ("/x?a=1;password=x", "/x?a=1;password=[REDACTED]"),
            ("/x?token=", "/x?token="),
            ("/x?token", "/x?token"),
            ("/x?tokenizer=bpe&authorized_at=1", "/x?tokenizer=bpe&authorized_at=1"),
            ("", ""),
            ("?#?#", "?#?#"),
            ("/ä?ö=ü&%zz=%", "/ä?ö=ü&%zz=%"),
        ] {
            assert_eq!(clean(url), expected, "{url}");
            assert_eq!(clean(expected), expected, "again: {url}");
        }
    }
}
