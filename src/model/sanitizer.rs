//! Takes the data out of a message: a serde serializer whose output is the message's [`CallTerm`].
//!
//! What must not be shown is never copied: strings, bytes and `Display` text are dropped as they are handed in, and
//! maps and structs are left before their first key. What is not shown is not visited either: the serializer answers
//! with an error, which every `Serialize` passes on at once, so that the cost is that of the 50 elements shown.

mod collector;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::ser::{Impossible, Serialize, Serializer};

use self::collector::{Collector, Kind};
use super::call_term::{CallTerm, Elements, Shape};

/// `Some` and newtypes around one value at most. Real messages have two or three; a linked list of newtypes has as
/// many as it has nodes, and would use up the host's stack.
const MAX_WRAPPERS: u8 = 64;

/// The shape of `value`, for the label of a call.
///
/// A unit variant is an atom in snake case, a tuple variant a tuple that begins with that atom, a struct variant
/// `{:variant, "%{...}"}`; `None` and `()` are `nil`, `Some` and newtypes are their content, a unit struct is the
/// atom of its name. A sequence or array of nothing but `u8` counts as bytes, which count as a string: serde cannot
/// tell them apart, and bytes stay in. `label_numbers = false` hides every number.
///
/// A value whose `Serialize` fails or panics is the opaque `"term"`. Values see a human-readable format, in which
/// addresses, identifiers and times are strings.
pub(crate) fn call_term<T: Serialize + ?Sized>(value: &T, label_numbers: bool) -> CallTerm {
    shape_of(value, Mode { label_numbers, is_element: false, wrappers: 0 })
}

fn shape_of<T: Serialize + ?Sized>(value: &T, mode: Mode) -> CallTerm {
    let mut slot = None;
    // The closure writes to the slot only, and a panic throws the slot away.
    let serialized = catch_unwind(AssertUnwindSafe(|| value.serialize(Sanitizer { mode, slot: &mut slot })));
    match serialized {
        // Either way the slot has what is known: an error is how a serialization is cut short.
        Ok(Ok(()) | Err(Stopped)) => slot.unwrap_or(CallTerm::One(Shape::OPAQUE)),
        Err(payload) => {
            drop_payload(payload);
            CallTerm::One(Shape::OPAQUE)
        }
    }
}

/// A panic's payload may panic when it is dropped; the second payload is leaked rather than tried again.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

#[derive(Debug, Clone, Copy)]
struct Mode {
    label_numbers: bool,
    /// Inside a tuple or list, where another one is a mere word.
    is_element: bool,
    wrappers: u8,
}

/// Ends a serialization, because all that is shown is known or because the value's own `Serialize` failed.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing more of this value is shown")
    }
}

impl std::error::Error for Stopped {}

impl serde::ser::Error for Stopped {
    /// The message may hold data: it is not even formatted.
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

/// The result goes to the slot and not through serde's return values, which a wrapping serializer may replace.
struct Sanitizer<'a> {
    mode: Mode,
    slot: &'a mut Option<CallTerm>,
}

impl<'a> Sanitizer<'a> {
    fn put(self, shape: Shape) -> Result<(), Stopped> {
        *self.slot = Some(shape.into());
        Ok(())
    }

    fn put_number(self, number: Shape) -> Result<(), Stopped> {
        let is_shown = self.mode.label_numbers;
        self.put(if is_shown { number } else { Shape::NUMBER })
    }

    /// All is known: whatever is inside is not visited.
    fn stop_with<T>(self, term: CallTerm) -> Result<T, Stopped> {
        *self.slot = Some(term);
        Err(Stopped)
    }

    fn enter<T: Serialize + ?Sized>(mut self, content: &T) -> Result<(), Stopped> {
        if self.mode.wrappers == MAX_WRAPPERS {
            return self.put(Shape::OPAQUE);
        }
        self.mode.wrappers += 1;
        content.serialize(self)
    }

    fn collect(self, kind: Kind, first: Option<CallTerm>) -> Result<Collector<'a>, Stopped> {
        if self.mode.is_element {
            return self.stop_with(kind.with(Elements::default()));
        }
        let mut elements = Elements::default();
        elements.extend(first);
        Ok(Collector::new(kind, elements, self))
    }
}

fn variant_atom(name: &str) -> Shape {
    Shape::Atom(snake_case(name).into())
}

/// `GetState` -> `get_state`, `HTTPServer` -> `http_server`, `Sha256Sum` -> `sha256_sum`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_word = before.is_some_and(|b: char| b.is_lowercase() || b.is_numeric());
        let begins_word =
            before.is_some_and(char::is_uppercase) && chars.peek().is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (ends_word || begins_word) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
        before = Some(c);
    }
    snake
}

macro_rules! integers {
    ($($method:ident: $type:ty),+) => {
        $(fn $method(self, number: $type) -> Result<(), Stopped> {
            self.put_number(Shape::Int(number.into()))
        })+
    };
}

impl<'a> Serializer for Sanitizer<'a> {
    type Ok = ();
    type Error = Stopped;
    type SerializeSeq = Collector<'a>;
    type SerializeTuple = Collector<'a>;
    type SerializeTupleStruct = Collector<'a>;
    type SerializeTupleVariant = Collector<'a>;
    type SerializeMap = Impossible<(), Stopped>;
    type SerializeStruct = Impossible<(), Stopped>;
    type SerializeStructVariant = Impossible<(), Stopped>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_bool(self, value: bool) -> Result<(), Stopped> {
        self.put(Shape::from_bool(value))
    }

    fn serialize_u8(self, number: u8) -> Result<(), Stopped> {
        let shown = self.mode.label_numbers.then_some(number);
        self.put(Shape::Byte(shown))
    }

    fn serialize_u128(self, number: u128) -> Result<(), Stopped> {
        self.put_number(i128::try_from(number).map_or(Shape::Uint(number), Shape::Int))
    }

    fn serialize_f32(self, number: f32) -> Result<(), Stopped> {
        // By way of its own digits: `f64::from(0.1_f32)` would print as 0.10000000149011612.
        self.put_number(Shape::Float(number.to_string().parse().unwrap_or_else(|_| number.into())))
    }

    fn serialize_f64(self, number: f64) -> Result<(), Stopped> {
        self.put_number(Shape::Float(number))
    }

    fn serialize_char(self, _: char) -> Result<(), Stopped> {
        self.put(Shape::TEXT)
    }

    fn serialize_str(self, _: &str) -> Result<(), Stopped> {
        self.put(Shape::TEXT)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Stopped> {
        self.put(Shape::TEXT)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Stopped> {
        self.put(Shape::TEXT)
    }

    fn serialize_none(self) -> Result<(), Stopped> {
        self.put(Shape::NIL)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, content: &T) -> Result<(), Stopped> {
        self.enter(content)
    }

    fn serialize_unit(self) -> Result<(), Stopped> {
        self.put(Shape::NIL)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Stopped> {
        self.put(variant_atom(name))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Stopped> {
        self.put(variant_atom(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, content: &T) -> Result<(), Stopped> {
        self.enter(content)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<(), Stopped> {
        let mut collector = self.collect(Kind::Record, Some(variant_atom(variant).into()))?;
        collector.push(content)?;
        collector.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Collector<'a>, Stopped> {
        self.collect(Kind::List, None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Collector<'a>, Stopped> {
        self.collect(Kind::Tuple, None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Collector<'a>, Stopped> {
        self.collect(Kind::Record, None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Collector<'a>, Stopped> {
        self.collect(Kind::Record, Some(variant_atom(variant).into()))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Stopped> {
        self.stop_with(Shape::MAP.into())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Stopped> {
        self.stop_with(Shape::MAP.into())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Stopped> {
        let mut elements = Elements::default();
        elements.extend([variant_atom(variant).into(), Shape::MAP.into()]);
        self.stop_with(CallTerm::Tuple(elements))
    }
}
