//! What the label of a call shows: the message's shape, in the notation of the original client.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::text::BoundedText;

#[cfg(test)]
mod tests;

/// Elements that a tuple or list shows before `...` (the original prints with Elixir's `limit: 50`).
pub(crate) const MAX_ELEMENTS: usize = 50;

/// Bytes of a whole label: 50 elements x 20 bytes (a time in milliseconds is 13 digits, a long atom 18 letters,
/// and a separator 2) is 1,000. Types with many generic parameters have names of several KiB; those are cut.
pub(crate) const MAX_LABEL_BYTES: usize = 1024;

/// Stands for a process without a name.
const UNKNOWN_PROCESS: &str = "<process>";

/// A message with its data taken out: one shape, or a tuple or list of shapes. There is no third level, so nothing
/// deeper can be shown by mistake.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CallTerm {
    /// Anything but a tuple or a list.
    One(Shape),
    /// Prints as `{…}`.
    Tuple(Elements),
    /// Prints as `[…]`.
    List(Elements),
}

/// What is shown of one value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A name from the code: `true`, `nil`, a unit variant.
    Atom(Cow<'static, str>),
    /// An integer up to `i128::MAX`.
    Int(i128),
    /// An integer above `i128::MAX`.
    Uint(u128),
    /// A `u8`, `None` where numbers are hidden: prints as a number, but a list of nothing else is bytes.
    Byte(Option<u8>),
    /// A float.
    Float(f64),
    /// A word in quotes that stands for what is not shown; one of the constants below.
    Quoted(&'static str),
}

impl Shape {
    /// A string, a char, bytes.
    pub(crate) const TEXT: Self = Self::Quoted("...");
    /// A map or a struct.
    pub(crate) const MAP: Self = Self::Quoted("%{...}");
    /// A tuple inside a tuple or list.
    pub(crate) const TUPLE: Self = Self::Quoted("tuple");
    /// A list inside a tuple or list.
    pub(crate) const LIST: Self = Self::Quoted("list");
    /// A number where numbers are hidden.
    pub(crate) const NUMBER: Self = Self::Quoted("number");
    /// A value whose shape cannot be told.
    pub(crate) const OPAQUE: Self = Self::Quoted("term");
    /// `()` and `None`.
    pub(crate) const NIL: Self = Self::Atom(Cow::Borrowed("nil"));

    /// `true` or `false`.
    pub(crate) const fn from_bool(value: bool) -> Self {
        Self::Atom(Cow::Borrowed(if value { "true" } else { "false" }))
    }
}

/// The first elements of a tuple or list.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Elements {
    shown: Vec<Shape>,
    has_more: bool,
}

impl Elements {
    /// Adds an element; past [`MAX_ELEMENTS`] it only leaves the mark that there are more.
    pub(crate) fn push(&mut self, element: CallTerm) {
        if self.is_full() {
            self.has_more = true;
        } else {
            self.shown.push(element.into_element());
        }
    }

    /// Whether the next element would not be shown.
    pub(crate) fn is_full(&self) -> bool {
        self.shown.len() >= MAX_ELEMENTS
    }

    /// Whether they are a list of `u8`: serde has no other word for a `Vec<u8>` or `[u8; N]`.
    pub(crate) fn are_bytes(&self) -> bool {
        !self.shown.is_empty() && self.shown.iter().all(|shape| matches!(shape, Shape::Byte(_)))
    }
}

impl Extend<CallTerm> for Elements {
    fn extend<I: IntoIterator<Item = CallTerm>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl CallTerm {
    /// One level down a tuple or list is a mere word.
    fn into_element(self) -> Shape {
        match self {
            Self::One(shape) => shape,
            Self::Tuple(_) => Shape::TUPLE,
            Self::List(_) => Shape::LIST,
        }
    }
}

impl From<Shape> for CallTerm {
    fn from(shape: Shape) -> Self {
        Self::One(shape)
    }
}

/// The name of a call's frame: `CALL <process> <message>`, or `CALL <process>` without a message. The process is
/// printed as it is, `None` as `<process>`. At most [`MAX_LABEL_BYTES`]; a longer label is cut and ends in `…`.
pub(crate) fn call_label(process: Option<&str>, message: Option<&CallTerm>) -> String {
    let mut label = BoundedText::new(MAX_LABEL_BYTES);
    // An error is the label's own limit: it then holds what fits.
    write_label(&mut label, process.unwrap_or(UNKNOWN_PROCESS), message).ok();
    label.into_string()
}

fn write_label(label: &mut BoundedText, process: &str, message: Option<&CallTerm>) -> fmt::Result {
    write!(label, "CALL {process}")?;
    match message {
        Some(message) => write!(label, " {message}"),
        None => Ok(()),
    }
}

impl fmt::Display for CallTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(shape) => shape.fmt(f),
            Self::Tuple(elements) => write!(f, "{{{elements}}}"),
            Self::List(elements) => write!(f, "[{elements}]"),
        }
    }
}

impl fmt::Display for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, shape) in self.shown.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{shape}")?;
        }
        if self.has_more { f.write_str(", ...") } else { Ok(()) }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(name) => write_atom(f, name),
            Self::Int(number) => number.fmt(f),
            Self::Uint(number) => number.fmt(f),
            Self::Byte(Some(number)) => number.fmt(f),
            Self::Byte(None) => Self::NUMBER.fmt(f),
            Self::Float(number) => f.write_str(&print_float(*number)),
            Self::Quoted(word) => write!(f, "\"{word}\""),
        }
    }
}

fn write_atom(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if matches!(name, "true" | "false" | "nil") {
        return f.write_str(name);
    }
    if let Some(module) = name.strip_prefix("Elixir.").filter(|module| module.split('.').all(is_alias)) {
        return f.write_str(module);
    }
    if is_identifier(name) {
        return write!(f, ":{name}");
    }
    f.write_str(":\"")?;
    for c in name.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// `[A-Z][A-Za-z0-9_]*`
fn is_alias(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_uppercase()) && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `[A-Za-z_][A-Za-z0-9_@]*[?!]?`
fn is_identifier(name: &str) -> bool {
    let stem = name.strip_suffix(['?', '!']).unwrap_or(name);
    stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
}

/// The shortest digits that read back as `number`: plain when 1 <= |number| < 1e16, and below 1 when that is not
/// longer than scientific. Erlang has no infinities and no NaN; they print as Rust prints them.
fn print_float(number: f64) -> String {
    const PLAIN_BELOW: f64 = 1e16;
    if !number.is_finite() {
        return number.to_string();
    }
    let size = number.abs();
    let scientific = print_scientific(number);
    // Past 1e16 plain digits would be zeros that nobody measured; `{}` would print up to 309 of them.
    if size >= PLAIN_BELOW {
        return scientific;
    }
    let plain = if number.fract() == 0.0 { format!("{number}.0") } else { number.to_string() };
    if size >= 1.0 || plain.len() <= scientific.len() { plain } else { scientific }
}

/// `1.0e-5`: Rust's digits, with the fraction that Erlang never leaves out.
fn print_scientific(number: f64) -> String {
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}
