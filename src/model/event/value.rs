//! The values of a start event's metadata.

use std::borrow::Cow;

/// One value of a start event's metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `None`.
    Null,
    /// Text.
    Str(Cow<'a, str>),
    /// An integer; one outside of `i64` is made the nearest that fits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Value<'_> {
    /// The text; `None` for anything else.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The integer; `None` for anything else.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The float; `None` for anything else, integers among it.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Float(number) = self { Some(*number) } else { None }
    }

    /// The truth value; `None` for anything else.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// Whether it is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Str(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f32> for Value<'_> {
    fn from(number: f32) -> Self {
        Self::Float(number.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! integers {
    ($($type:ty)+) => {
        $(impl From<$type> for Value<'_> {
            fn from(number: $type) -> Self {
                Self::Int(clamp(number))
            }
        })+
    };
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

fn clamp<N: TryInto<i64> + PartialOrd + Default + Copy>(number: N) -> i64 {
    number.try_into().unwrap_or(if number < N::default() { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_as_what_it_is_and_as_nothing_else() {
        let text = String::from("t");
        for value in [Value::from("t"), (&text).into(), text.clone().into(), Cow::Borrowed("t").into()] {
            assert_eq!((value.as_str(), value.as_i64(), value.as_bool()), (Some("t"), None, None));
        }
        assert_eq!((Value::from(-3_i8).as_i64(), Value::from(-3_i8).as_f64()), (Some(-3), None));
        assert_eq!((Value::from(0.5_f32).as_f64(), Value::from(0.5).as_str()), (Some(0.5), None));
        assert_eq!((Value::from(true).as_bool(), Value::from(true).is_null()), (Some(true), false));
        assert_eq!((Value::from(Some("x")).as_str(), Value::from(None::<u8>).is_null()), (Some("x"), true));
    }

    #[test]
    fn an_integer_that_does_not_fit_becomes_the_nearest() {
        assert_eq!(Value::from(u64::MAX), Value::Int(i64::MAX));
        assert_eq!(Value::from(i128::MIN), Value::Int(i64::MIN));
        assert_eq!(Value::from(usize::MIN), Value::Int(0));
        assert_eq!(Value::from(u128::MAX), Value::Int(i64::MAX));
        assert_eq!(Value::from(isize::MIN).as_i64(), i64::try_from(isize::MIN).ok());
    }
}
