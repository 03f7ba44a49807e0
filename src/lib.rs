//! FlameOn.
#![allow(dead_code)]

mod model;

#[doc(hidden)]
pub use model::call_form as __call_form;
