//! Collects the elements of a top-level tuple or list.

use serde::ser::{Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant};

use super::{Mode, Sanitizer, Stopped, shape_of};
use crate::model::call_term::{CallTerm, Elements, Shape};

/// What the elements belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A sequence: prints as a list.
    List,
    /// A tuple or an array, which are the same to serde.
    Tuple,
    /// A tuple struct or variant, whose elements were declared in the code: never bytes.
    Record,
}

impl Kind {
    pub(super) fn with(self, elements: Elements) -> CallTerm {
        match self {
            Self::List | Self::Tuple if elements.are_bytes() => Shape::TEXT.into(),
            Self::List => CallTerm::List(elements),
            Self::Tuple | Self::Record => CallTerm::Tuple(elements),
        }
    }
}

pub(super) struct Collector<'a> {
    kind: Kind,
    elements: Elements,
    mode: Mode,
    /// Where the term goes; `None` once it is there.
    slot: Option<&'a mut Option<CallTerm>>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(kind: Kind, elements: Elements, Sanitizer { mode, slot }: Sanitizer<'a>) -> Self {
        Self { kind, elements, mode: Mode { is_element: true, ..mode }, slot: Some(slot) }
    }

    /// Stops the serialization at the first element that is not shown: a list may have a million more.
    pub(super) fn push<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Stopped> {
        if self.elements.is_full() {
            self.elements.push(Shape::OPAQUE.into());
            self.settle();
            return Err(Stopped);
        }
        self.elements.push(shape_of(element, self.mode));
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), Stopped> {
        self.settle();
        Ok(())
    }

    /// Once only: a `Serialize` that goes on after an error changes nothing more.
    fn settle(&mut self) {
        if let Some(slot) = self.slot.take() {
            *slot = Some(self.kind.with(std::mem::take(&mut self.elements)));
        }
    }
}

macro_rules! collects {
    ($($part:ident: $method:ident),+) => {
        $(impl $part for Collector<'_> {
            type Ok = ();
            type Error = Stopped;

            fn $method<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Stopped> {
                self.push(element)
            }

            fn end(self) -> Result<(), Stopped> {
                self.finish()
            }
        })+
    };
}

collects! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field
}
