//! The names of errors behind `dyn Error`: there is no way to ask, so the common ones are tried.

use std::any::type_name;
use std::error::Error;

macro_rules! known {
    ($error:ident: $($type:ty,)+) => {
        $(if $error.is::<$type>() {
            return type_name::<$type>();
        })+
    };
}

/// The type of `error`; empty where it cannot be told.
pub(crate) fn of(error: &(dyn Error + 'static)) -> &'static str {
    known! { error:
        std::io::Error,
        std::num::ParseIntError,
        std::num::ParseFloatError,
        std::num::TryFromIntError,
        std::str::Utf8Error,
        std::string::FromUtf8Error,
        std::str::ParseBoolError,
        std::char::ParseCharError,
        std::fmt::Error,
        std::env::VarError,
        std::net::AddrParseError,
        std::time::SystemTimeError,
        std::sync::mpsc::RecvError,
        std::array::TryFromSliceError,
        std::cell::BorrowError,
        std::cell::BorrowMutError,
        tokio::time::error::Elapsed,
        tokio::task::JoinError,
        tokio::sync::AcquireError,
        tokio::sync::oneshot::error::RecvError,
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_errors_are_known_behind_dyn() {
        assert_eq!(of(&std::io::Error::other("x")), "std::io::error::Error");
        assert_eq!(of(&*Box::<dyn Error + Send + Sync>::from("x")), "");
    }
}
