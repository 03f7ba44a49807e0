//! What the `call!` macro makes its label from. Public for the macro's expansion only, and not covered by any
//! promise of stability.
//!
//! A message that holds a reply port is not `Serialize`, so `call!` labels a call by the variant's name and the
//! arguments. A [`Form`] only borrows them: making one costs a few moves of references, and nothing is rendered
//! unless the caller is traced. The borrow must end before the arguments move into the message, so the macro makes
//! the call in two steps: the first takes the form, renders it when traced, and returns a value that owns the label;
//! the second takes the closure that the arguments have moved into. (Both in one call is `error[E0505]`: the
//! closure moves the arguments while the form still borrows them.)

use serde::ser::{Error as _, Serialize, SerializeTupleVariant, Serializer};

#[cfg(test)]
mod tests;

/// A message of a variant's name and borrowed arguments: `Db::Query` with a string serializes as the tuple variant
/// `Query("…")`, without arguments as a unit variant.
#[derive(Debug, Clone, Copy)]
pub struct Form<F> {
    variant: &'static str,
    fields: F,
}

impl Form<()> {
    /// A form without arguments; `path` is the variant as it stands in the code, of which the last name counts.
    pub fn new(path: &'static str) -> Self {
        let name = path.rsplit("::").next().unwrap_or(path).trim();
        Self { variant: name.strip_prefix("r#").unwrap_or(name), fields: () }
    }
}

impl<F: Fields> Form<F> {
    /// Adds an argument, from [`ByShape::field`] or [`Opaque::field`].
    #[must_use]
    pub fn with<A: Serialize>(self, field: A) -> Form<(F, A)> {
        Form { variant: self.variant, fields: (self.fields, field) }
    }
}

impl<F: Fields> Serialize for Form<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if F::COUNT == 0 {
            return serializer.serialize_unit_variant("", 0, self.variant);
        }
        let mut tuple = serializer.serialize_tuple_variant("", 0, self.variant, F::COUNT)?;
        self.fields.serialize_into(&mut tuple)?;
        tuple.end()
    }
}

/// The arguments of a [`Form`], the last one outermost: `(((), A), B)`.
pub trait Fields {
    /// How many there are.
    const COUNT: usize;

    /// Writes them in their order.
    fn serialize_into<S: SerializeTupleVariant>(&self, tuple: &mut S) -> Result<(), S::Error>;
}

impl Fields for () {
    const COUNT: usize = 0;

    fn serialize_into<S: SerializeTupleVariant>(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

impl<F: Fields, A: Serialize> Fields for (F, A) {
    const COUNT: usize = F::COUNT + 1;

    fn serialize_into<S: SerializeTupleVariant>(&self, tuple: &mut S) -> Result<(), S::Error> {
        self.0.serialize_into(tuple)?;
        tuple.serialize_field(&self.1)
    }
}

/// An argument on its way into a [`Form`]. `(&Arg(&x)).field()` takes [`ByShape`] where `x` is `Serialize` and
/// [`Opaque`] elsewhere: method lookup tries the receiver as it is before it takes another reference. In a function
/// that is generic over the argument only the bounds written there count.
#[derive(Debug)]
pub struct Arg<'a, T>(pub &'a T);

/// An argument that shows its shape.
pub trait ByShape {
    /// What is put into the form.
    type Field: Serialize;

    /// The argument's reference.
    fn field(&self) -> Self::Field;
}

impl<'a, T: Serialize> ByShape for Arg<'a, T> {
    type Field = &'a T;

    fn field(&self) -> &'a T {
        self.0
    }
}

/// An argument that cannot be serialized.
pub trait Opaque {
    /// What is put into the form.
    fn field(&self) -> Unserializable;
}

impl<T> Opaque for &Arg<'_, T> {
    fn field(&self) -> Unserializable {
        Unserializable
    }
}

/// Stands for an argument that is not `Serialize`: fails to serialize, which a label shows as `"term"`.
#[derive(Debug, Clone, Copy)]
pub struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("the argument is not serializable"))
    }
}
