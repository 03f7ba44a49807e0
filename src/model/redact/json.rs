//! Any serializable value as text: a scalar as itself, anything else as compact JSON without its secrets.

use std::fmt::Write as _;

use serde::ser::{self, Serialize, Serializer};

use super::keys::SecretKeys;
use super::text;
use crate::model::error_event::REDACTED;

/// Deeper values are left out: a value of an event is to be read.
const MAX_DEPTH: usize = 32;

/// `value` as text of at most about `max_bytes`. `None` for nothing: `None`, `()`, or a value that cannot be
/// serialized.
pub(crate) fn render(value: &(impl Serialize + ?Sized), keys: &SecretKeys, max_bytes: usize) -> Option<String> {
    let mut out = Out { text: String::new(), keys, max_bytes, depth: 0 };
    // `Err` at the limit, or from the value's own code: what there is by then is kept.
    let done = value.serialize(Json(&mut out));
    let text = out.text;
    match text.as_str() {
        "null" => None,
        "" => done.ok().map(|()| text),
        _ => Some(unquoted(text)),
    }
}

/// A text that is one string is shown without its quotes.
fn unquoted(text: String) -> String {
    let Some(inner) = text.strip_prefix('"') else { return text };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut plain = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match (c, c == '\\') {
            (_, true) => plain.extend(unescaped(&mut rest)),
            (c, false) => plain.push(c),
        }
    }
    plain
}

fn unescaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => u32::from_str_radix(rest.as_str().get(..4)?, 16).ok().and_then(char::from_u32).inspect(|_| {
            rest.nth(3);
        }),
        c => Some(c),
    }
}

struct Out<'k> {
    text: String,
    keys: &'k SecretKeys,
    max_bytes: usize,
    depth: usize,
}

/// Why rendering stopped.
#[derive(Debug, thiserror::Error)]
#[error("the value is too large, too deep, or cannot be serialized")]
pub(crate) struct Stopped;

impl ser::Error for Stopped {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Out<'_> {
    fn push(&mut self, text: &str) -> Result<(), Stopped> {
        if self.text.len().saturating_add(text.len()) > self.max_bytes {
            return Err(Stopped);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// As much of a string as there is room for, without its secrets.
    fn push_string(&mut self, value: &str) -> Result<(), Stopped> {
        let room = self.max_bytes.saturating_sub(self.text.len());
        let fits = crate::model::graphemes::first_bytes(value, room);
        let clean = text::redacted(fits, self.keys);
        self.text.push('"');
        for c in clean.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c.is_control() => {
                    // Writing into a string cannot fail.
                    write!(self.text, "\\u{:04x}", u32::from(c)).ok();
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        if fits.len() < value.len() { Err(Stopped) } else { Ok(()) }
    }

    fn push_redacted(&mut self) -> Result<(), Stopped> {
        self.push("\"")?;
        self.push(REDACTED)?;
        self.push("\"")
    }
}

struct Json<'o, 'k>(&'o mut Out<'k>);

impl<'o, 'k> Json<'o, 'k> {
    fn open(self, bracket: &str, close: &'static str) -> Result<Compound<'o, 'k>, Stopped> {
        if self.0.depth >= MAX_DEPTH {
            return Err(Stopped);
        }
        self.0.depth += 1;
        self.0.push(bracket)?;
        Ok(Compound { out: self.0, close, is_first: true, pair_of: None, hides_next: false })
    }

    /// `{"Variant":` before the content of an enum.
    fn open_variant(self, variant: &str, bracket: &str, close: &'static str) -> Result<Compound<'o, 'k>, Stopped> {
        self.0.push("{")?;
        self.0.push_string(variant)?;
        self.0.push(":")?;
        self.open(bracket, close)
    }
}

macro_rules! numbers {
    ($($method:ident: $number:ty,)+) => {$(
        fn $method(self, value: $number) -> Result<(), Stopped> {
            self.0.push(&value.to_string())
        }
    )+};
}

impl<'o, 'k> Serializer for Json<'o, 'k> {
    type Ok = ();
    type Error = Stopped;
    type SerializeSeq = Compound<'o, 'k>;
    type SerializeTuple = Compound<'o, 'k>;
    type SerializeTupleStruct = Compound<'o, 'k>;
    type SerializeTupleVariant = Compound<'o, 'k>;
    type SerializeMap = Compound<'o, 'k>;
    type SerializeStruct = Compound<'o, 'k>;
    type SerializeStructVariant = Compound<'o, 'k>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_bool: bool,
    }

    fn serialize_f32(self, value: f32) -> Result<(), Stopped> {
        self.0.push(&if value.is_finite() { format!("{value:?}") } else { "null".into() })
    }

    fn serialize_f64(self, value: f64) -> Result<(), Stopped> {
        self.0.push(&if value.is_finite() { format!("{value:?}") } else { "null".into() })
    }

    fn serialize_char(self, value: char) -> Result<(), Stopped> {
        self.0.push_string(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Stopped> {
        self.0.push_string(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Stopped> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Stopped> {
        self.0.push("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stopped> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Stopped> {
        self.0.push("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stopped> {
        self.0.push("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Stopped> {
        self.0.push_string(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Stopped> {
        if self.0.keys.is_secret_type(name) { self.0.push_redacted() } else { value.serialize(self) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stopped> {
        let mut map = self.open("{", "}")?;
        map.entry(variant, value)?;
        map.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'o, 'k>, Stopped> {
        self.open("[", "]")
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'o, 'k>, Stopped> {
        let mut list = self.open("[", "]")?;
        list.pair_of = (length == 2).then_some(list.out.text.len());
        Ok(list)
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Compound<'o, 'k>, Stopped> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'o, 'k>, Stopped> {
        self.open_variant(variant, "[", "]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'o, 'k>, Stopped> {
        self.open("{", "}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'o, 'k>, Stopped> {
        self.open("{", "}")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'o, 'k>, Stopped> {
        self.open_variant(variant, "{", "}}")
    }
}

/// A list or a map in the making.
pub(crate) struct Compound<'o, 'k> {
    out: &'o mut Out<'k>,
    close: &'static str,
    is_first: bool,
    /// In a list of two: where its first element begins. If that names a secret, the second is one.
    pair_of: Option<usize>,
    /// The value that comes next is secret.
    hides_next: bool,
}

impl Compound<'_, '_> {
    fn comma(&mut self) -> Result<(), Stopped> {
        if std::mem::replace(&mut self.is_first, false) { Ok(()) } else { self.out.push(",") }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        if std::mem::replace(&mut self.hides_next, false) {
            return self.out.push_redacted();
        }
        value.serialize(Json(&mut *self.out))
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        let begin = self.pair_of.filter(|_| !self.is_first);
        let first = begin.and_then(|begin| self.out.text.get(begin..));
        self.hides_next = first.is_some_and(|first| first.starts_with('"') && self.out.keys.is_secret(first));
        self.comma()?;
        self.value(value)
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stopped> {
        self.comma()?;
        let begin = self.out.text.len();
        key.serialize(Json(&mut *self.out))?;
        let written = self.out.text.get(begin..).unwrap_or_default();
        self.hides_next = self.out.keys.is_secret(written);
        if !written.starts_with('"') {
            let quoted = format!("\"{}\"", written.replace(['"', '\\'], ""));
            self.out.text.truncate(begin);
            self.out.push(&quoted)?;
        }
        self.out.push(":")
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Stopped> {
        self.key(key)?;
        self.value(value)
    }

    fn finish(self) -> Result<(), Stopped> {
        self.out.depth = self.out.depth.saturating_sub(1);
        self.out.push(self.close)
    }
}

macro_rules! lists {
    ($($face:ident: $method:ident,)+) => {$(
        impl ser::$face for Compound<'_, '_> {
            type Ok = ();
            type Error = Stopped;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
                self.element(value)
            }

            fn end(self) -> Result<(), Stopped> {
                self.finish()
            }
        }
    )+};
}

lists! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! structs {
    ($($face:ident,)+) => {$(
        impl ser::$face for Compound<'_, '_> {
            type Ok = ();
            type Error = Stopped;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Stopped> {
                self.entry(key, value)
            }

            fn end(self) -> Result<(), Stopped> {
                self.finish()
            }
        }
    )+};
}

structs! { SerializeStruct, SerializeStructVariant, }

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Stopped;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stopped> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stopped> {
        self.value(value)
    }

    fn end(self) -> Result<(), Stopped> {
        self.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: impl Serialize) -> String {
        render(&value, &SecretKeys::default(), 1_000).unwrap()
    }

    #[test]
    fn scalars_are_themselves_and_the_rest_is_compact_json() {
        assert_eq!(shown("a \"b\"\n\u{1}é"), "a \"b\"\n\u{1}é");
        assert_eq!(shown(7), "7");
        assert_eq!(shown(1.0), "1.0");
        assert_eq!(shown(true), "true");
        assert_eq!(shown(json!({"b": [1, null, "x"], "a": {"c": "\"\n"}})), r#"{"a":{"c":"\"\n"},"b":[1,null,"x"]}"#);
        assert_eq!(render(&None::<u8>, &SecretKeys::default(), 100), None);
        assert_eq!(shown(""), "");
        assert_eq!(shown(std::collections::BTreeMap::from([(7, 'x')])), r#"{"7":"x"}"#);
    }

    #[test]
    fn nested_secrets_go() {
        #[derive(serde::Serialize)]
        struct ApiKey(&'static str);
        #[derive(serde::Serialize)]
        enum Login {
            Password(&'static str),
            Form { token: u32, user: &'static str },
        }
        assert_eq!(shown(json!({"user": {"password": "x1"}})), r#"{"user":{"password":"[REDACTED]"}}"#);
        assert_eq!(shown(json!({"secret": {"a": ["x1"]}})), r#"{"secret":"[REDACTED]"}"#);
        assert_eq!(shown([("token", "x1"), ("id", "7")]), r#"[["token","[REDACTED]"],["id","7"]]"#);
        assert_eq!(shown([ApiKey("x1")]), r#"["[REDACTED]"]"#);
        assert_eq!(shown(Login::Password("x1")), r#"{"Password":"[REDACTED]"}"#);
        assert_eq!(shown(Login::Form { token: 1, user: "b" }), r#"{"Form":{"token":"[REDACTED]","user":"b"}}"#);
        assert_eq!(shown(json!(["token=x1"])), r#"["token=[REDACTED]"]"#);
    }

    #[test]
    fn it_is_bounded_in_length_and_depth() {
        let long = render(&vec!["0123456789"; 1_000], &SecretKeys::default(), 100).unwrap();
        assert!(long.len() <= 130, "{}", long.len());
        let deep = (0..1_000).fold(json!(1), |value, _| json!([value]));
        assert!(render(&deep, &SecretKeys::default(), 100_000).unwrap().len() <= MAX_DEPTH);
    }
}
