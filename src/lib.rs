//! FlameOn.
#![allow(dead_code)]

mod model;

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[path = "vectors_labels.rs"]
pub mod __vectors_labels;

#[doc(hidden)]
pub use model::call_form as __call_form;
pub use model::event::{Capture, Decision, EventHandler, Metadata, StartEvent, Value};
pub use model::handler::DefaultHandler;

/// Makes the [`Metadata`] of a start event; values borrow from the caller.
///
/// ```
/// let source = String::from("ftp");
/// let metadata = flame_on::metadata! { "source" => &source, "rows" => 17, "user" => None::<&str> };
/// # assert_eq!(flame_on::StartEvent::new("import", metadata).str("source"), Some("ftp"));
/// ```
#[macro_export]
macro_rules! metadata {
    ($($key:literal => $value:expr),* $(,)?) => {
        $crate::Metadata::new([$(($key, $crate::Value::from($value))),*])
    };
}
