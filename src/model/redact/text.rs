//! Secrets in free text: messages, values that were rendered by `Debug` or as JSON, lines of source.
//!
//! What counts as a secret in text:
//!
//! | shape | example | what goes |
//! |---|---|---|
//! | pair | `password=x`, `token: x`, `"token":"x"`, `:token => 'x'`, `\"token\":\"x\"` | the value |
//! | pair with a nested value | `token: Some("x")`, `"secret":{"a":["x"]}` | the whole value |
//! | two in a list | `("token", "x")`, `["token","x"]` | the second |
//! | named type | `Password("x")`, `ApiKey { value: "x" }` | what is in the brackets |
//! | element, option | `<password>x</password>`, `--password x` | the value |
//! | header | `Authorization: Basic x`, `Cookie: a=b; c=d` | to the end of the line |
//! | scheme | `Bearer x`, `Basic dXNlcjpwYXNz` | the credentials |
//! | user info | `postgres://user:pass@host` | `user:pass` |
//! | JSON web token | `eyJ….….…` | all of it |
//!
//! Which keys are secret stands in [`keys`](super::keys). In doubt more goes than has to: `token: expired` loses a
//! word. One pass from left to right; what has been taken out can only grow, by a key inside it whose value ends behind it.

use std::borrow::Cow;
use std::ops::Range;

use super::keys::{SecretKeys, words};
use super::scan::{self, Quote};
use super::tokens;
use super::url::decoded;
use crate::model::error_event::REDACTED;

/// How often a text within a text is decoded: `a%253Db` takes two.
const MAX_NESTING: u8 = 3;

/// Keys inside of values at most: each may look through the rest of the text. Past it all the rest goes.
const MAX_SWALLOWED: usize = 32;

/// `text` without its secrets.
pub(crate) fn redacted<'a>(text: &'a str, keys: &SecretKeys) -> Cow<'a, str> {
    redacted_within(text, keys, MAX_NESTING)
}

fn redacted_within<'a>(text: &'a str, keys: &SecretKeys, nesting: u8) -> Cow<'a, str> {
    let mut clean = String::new();
    let (mut copied, mut swallowed) = (0, 0);
    let mut at = 0;
    while at < text.len() {
        let step = look(text, at, keys, nesting);
        if let Some(secret) = step.secret {
            if secret.start >= copied {
                clean.push_str(text.get(copied..secret.start).unwrap_or_default());
                clean.push_str(REDACTED);
            } else {
                swallowed += 1;
            }
            copied = if swallowed > MAX_SWALLOWED { text.len() } else { copied.max(secret.end) };
        }
        at = if swallowed > MAX_SWALLOWED { text.len() } else { step.next };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// What a look at one place found. `next` is behind it, and a character boundary.
struct Step {
    secret: Option<Range<usize>>,
    next: usize,
}

impl Step {
    fn on(next: usize) -> Self {
        Self { secret: None, next }
    }

    fn over(secret: Range<usize>) -> Self {
        let next = secret.end;
        Self { secret: Some(secret).filter(|secret| !secret.is_empty()), next }
    }
}

fn look(text: &str, at: usize, keys: &SecretKeys, nesting: u8) -> Step {
    let run = scan::run(text, at);
    if run.is_empty() {
        return match scan::user_info(text, at) {
            Some(user_info) => Step::over(user_info),
            None => Step::on(scan::next_char(text, at)),
        };
    }
    let name = text.get(run.clone()).unwrap_or_default();
    if let Some(credentials) = tokens::credentials(text, &run) {
        return Step::over(credentials);
    }
    if tokens::is_web_token(name) || hides_a_secret(name, keys, nesting) {
        return Step::over(run);
    }
    match pair(text, &run, keys) {
        // On from the value's begin and not its end: where quotes do not pair, it has swallowed a further key whose value
        // lies behind it.
        Some(value) => Step { next: value.start.max(run.end), secret: Some(value).filter(|value| !value.is_empty()) },
        None => Step::on(run.end),
    }
}

/// Whether the decoded form of a percent-encoded run holds a secret.
fn hides_a_secret(run: &str, keys: &SecretKeys, nesting: u8) -> bool {
    if nesting == 0 || !run.contains('%') {
        return false;
    }
    let decoded = decoded(run);
    decoded != run && matches!(redacted_within(&decoded, keys, nesting - 1), Cow::Owned(_))
}

/// The secret value that follows the key at `run`, if that is one.
fn pair(text: &str, run: &Range<usize>, keys: &SecretKeys) -> Option<Range<usize>> {
    let after = After::of(text, run)?;
    let name = decoded(text.get(run.clone())?);
    let is_secret = match after.joint {
        Joint::Group => keys.is_secret_type(&name),
        Joint::Option => keys.is_secret(&name),
        _ => keys.is_secret(&name) || keys.ends_in_secret(text.get(scan::with_words_before(text, run))?),
    };
    if !is_secret {
        return None;
    }
    let value = with_what_it_names(text, value(text, &after, &name)?);
    let is_one = after.joint != Joint::Comma || scan::closes_list(text, value.outer.end);
    is_one.then_some(value.secret)
}

/// What stands between a key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `=` or `=>`.
    Equals,
    /// `:`.
    Colon,
    /// `,` behind a quoted key that begins a list.
    Comma,
    /// `>` of an element's begin.
    Element,
    /// A space behind an option.
    Option,
    /// None: an opening bracket follows the name.
    Group,
}

/// What follows a key.
struct After {
    joint: Joint,
    /// Where the value begins.
    value: usize,
}

impl After {
    fn of(text: &str, run: &Range<usize>) -> Option<Self> {
        let closed = scan::skip_closers(text, run.end);
        let is_quoted = closed > run.end;
        let spaced = scan::skip_space(text, closed);
        let rest = text.get(spaced..)?;
        let found = |joint, length: usize| {
            let value = spaced + length;
            // A quoted key is a part of a format that may go on in the next line.
            let value = if is_quoted { scan::skip_white(text, value) } else { scan::skip_space(text, value) };
            Some(Self { joint, value })
        };
        if rest.starts_with("=>") {
            return found(Joint::Equals, 2);
        }
        match rest.bytes().next()? {
            b'=' => found(Joint::Equals, rest.len() - rest.trim_start_matches('=').len()),
            b':' if !rest.starts_with("::") => found(Joint::Colon, 1),
            b',' if is_quoted && scan::begins_list(text, run.start) => found(Joint::Comma, 1),
            b'>' if !is_quoted && scan::before(text, run.start) == Some('<') => found(Joint::Element, 1),
            b'(' | b'{' if !is_quoted => found(Joint::Group, 0),
            _ if spaced > run.end && text.get(run.clone())?.starts_with('-') => found(Joint::Option, 0),
            _ => None,
        }
    }
}

/// A value, and the part of it that is taken out.
struct Value {
    secret: Range<usize>,
    outer: Range<usize>,
}

impl Value {
    fn whole(range: Range<usize>) -> Self {
        Self { secret: range.clone(), outer: range }
    }
}

/// A value that a separator follows was a key of its own, whose value has been left out before it (`"token": "secret":
/// "x"`): what it names goes as well.
fn with_what_it_names(text: &str, value: Value) -> Value {
    let mut end = value.outer.end;
    while let Some(next) = scan::named_by(text, end) {
        let after = After { joint: Joint::Equals, value: next };
        match self::value(text, &after, "") {
            Some(further) if further.outer.end > end => end = further.outer.end,
            _ => break,
        }
    }
    if end > value.outer.end { Value::whole(value.secret.start..end) } else { value }
}

fn value(text: &str, after: &After, name: &str) -> Option<Value> {
    let start = after.value;
    if let Some(quote) = Quote::at(text, scan::skip_literal_prefix(text, start)) {
        let inner = quote.inner(text);
        let end = (inner.end + quote.length()).min(text.len());
        return Some(Value { secret: inner, outer: start..end });
    }
    if let Some(end) = scan::group_end(text, scan::skip_wrapper(text, start)) {
        return Some(Value::whole(start..end));
    }
    let end = match after.joint {
        Joint::Element => scan::find(text, start, |c| c == '<'),
        Joint::Colon if goes_to_end_of_line(name) => scan::find(text, start, |c| matches!(c, '\n' | '\r')),
        _ => tokens::bare_end(text, start),
    };
    (end > start).then(|| Value::whole(start..end))
}

/// Headers whose values have separators in them.
fn goes_to_end_of_line(name: &str) -> bool {
    words(name).iter().any(|word| matches!(word.as_str(), "authorization" | "cookie"))
}
