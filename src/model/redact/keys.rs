//! Which keys name secrets.
//!
//! A key is split into words: at everything that is neither letter nor digit (`_`, `-`, `.`, space, the brackets of
//! `user[password]`), between lower and upper case, before the last capital of a run (`APIKey`), and between letters
//! and digits (`password2`). It is secret when the words of a listed key appear among its own in a row, or when one of
//! its words, or all of them joined, is a listed key with the separators taken out (`apikey`, `x-apikey`).

use crate::model::graphemes;

/// Keys that are secret in every event.
const ALWAYS: [&str; 9] =
    ["authorization", "cookie", "set-cookie", "password", "passwd", "secret", "token", "api_key", "api-key"];

/// Of a key that is longer than twice this the middle is not looked at: no program has such keys, and hostile text does.
const MAX_KEY_BYTES: usize = 256;

/// The keys whose values never leave.
#[derive(Debug, Clone)]
pub(crate) struct SecretKeys(Vec<Listed>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    words: Vec<String>,
    joined: String,
}

impl Default for SecretKeys {
    fn default() -> Self {
        Self::with(&[])
    }
}

impl SecretKeys {
    /// The keys of every event, and those in `more`, in any case and notation.
    pub(crate) fn with(more: &[String]) -> Self {
        let mut listed: Vec<Listed> = Vec::new();
        for key in ALWAYS.into_iter().chain(more.iter().map(String::as_str)) {
            let words = words(key);
            let entry = Listed { joined: words.concat(), words };
            // An empty one would be in every key.
            if !entry.words.is_empty() && !listed.contains(&entry) {
                listed.push(entry);
            }
        }
        Self(listed)
    }

    /// Whether the value of `key` is secret.
    pub(crate) fn is_secret(&self, key: &str) -> bool {
        let begin = graphemes::first_bytes(key, MAX_KEY_BYTES);
        self.has_secret_words(cut(key)) || begin.len() < key.len() && self.has_secret_words(begin)
    }

    fn has_secret_words(&self, key: &str) -> bool {
        let words = words(key);
        if words.is_empty() {
            return false;
        }
        let joined = words.concat();
        self.0.iter().any(|listed| {
            let count = listed.words.len();
            let in_a_row = words.windows(count).any(|row| row == listed.words);
            in_a_row || joined == listed.joined || words.contains(&listed.joined)
        })
    }
}

impl SecretKeys {
    /// Whether the name of a type is that of a secret, not only of something about secrets: `ApiKey`, `AccessToken`,
    /// but not `TokenError`.
    pub(super) fn is_secret_type(&self, name: &str) -> bool {
        let words = words(cut(name));
        name.starts_with(char::is_uppercase)
            && self.0.iter().any(|listed| words.ends_with(&listed.words) || words.last() == Some(&listed.joined))
    }

    /// Whether a key of several words is at the end of `text`: `an api key`.
    pub(super) fn ends_in_secret(&self, text: &str) -> bool {
        let words = words(cut(text));
        self.0.iter().any(|listed| listed.words.len() > 1 && words.ends_with(&listed.words))
    }
}

/// The end of an overlong key, which is where its noun stands.
fn cut(key: &str) -> &str {
    let from = (key.len().saturating_sub(MAX_KEY_BYTES)..key.len()).find(|at| key.is_char_boundary(*at));
    from.and_then(|from| key.get(from..)).unwrap_or_default()
}

/// The words of a key, in lower case.
pub(crate) fn words(key: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before = Class::Separator;
    let mut rest = key.chars().peekable();
    while let Some(c) = rest.next() {
        let class = Class::of(c);
        let next = rest.peek().copied().map_or(Class::Separator, Class::of);
        if begins_word(before, class, next) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if class != Class::Separator {
            word.extend(c.to_lowercase());
        }
        before = class;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Separator,
}

impl Class {
    fn of(c: char) -> Self {
        if c.is_numeric() {
            Self::Digit
        } else if c.is_uppercase() {
            Self::Upper
        } else if c.is_alphanumeric() {
            Self::Lower
        } else {
            Self::Separator
        }
    }
}

fn begins_word(before: Class, class: Class, next: Class) -> bool {
    match (before, class) {
        (_, Class::Separator) | (Class::Lower | Class::Digit, Class::Upper) => true,
        (Class::Upper, Class::Upper) => next == Class::Lower,
        (Class::Digit, Class::Lower) | (Class::Lower | Class::Upper, Class::Digit) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_split_into_words() {
        for (key, expected) in [
            ("access_token", "access token"),
            ("userPassword", "user password"),
            ("X-API-Key", "x api key"),
            ("APIKey", "api key"),
            ("user[password]", "user password"),
            ("a.b c", "a b c"),
            ("password2", "password 2"),
            ("TÖKEN", "töken"),
            ("", ""),
            ("--__", ""),
        ] {
            assert_eq!(words(key).join(" "), expected, "{key}");
        }
    }

    #[test]
    fn a_secret_is_known_in_every_notation() {
        let keys = SecretKeys::default();
        for key in [
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "Set-Cookie",
            "setCookie",
            "password",
            "PASSWORD",
            "userPassword",
            "user_password",
            "password_hash",
            "password2",
            "passwd",
            "secret",
            "client_secret",
            "token",
            " token",
            "access_token",
            "accessToken",
            "ACCESS_TOKEN",
            "csrf-token",
            "api_key",
            "api key",
            "apikey",
            "APIKey",
            "x-api-key",
            "x-apikey",
            "user[password]",
        ] {
            assert!(keys.is_secret(key), "{key}");
        }
    }

    #[test]
    fn innocent_keys_stay() {
        let keys = SecretKeys::default();
        for key in [
            "tokenizer",
            "tokens",
            "secretary",
            "secrets",
            "authorized_at",
            "authorizations_count",
            "cookies",
            "passwords",
            "passwordless",
            "key",
            "api",
            "keyapi",
            "apikeys",
            "monkey",
            "",
            "_",
        ] {
            assert!(!keys.is_secret(key), "{key}");
        }
    }

    #[test]
    fn further_keys_are_taken_in_any_case() {
        let keys = SecretKeys::with(&["SSN".into(), "card_number".into(), "töKEN".into(), "1".into(), "".into()]);
        for key in ["ssn", "Card_Number", "cardNumber", "cardnumber", "TÖKEN", "1", "token"] {
            assert!(keys.is_secret(key), "{key}");
        }
        assert!(!keys.is_secret("other"));
    }

    #[test]
    fn of_an_overlong_key_both_ends_count() {
        let (keys, long) = (SecretKeys::default(), "ä".repeat(10_000));
        assert!(keys.is_secret(&format!("{long}_token")) && keys.is_secret(&format!("token_{long}")));
        assert!(!keys.is_secret(&format!("{long}_token_{long}")));
    }
}
