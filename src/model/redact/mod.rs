//! Takes secrets out of what is about to leave the process. Pure; linear in the length of the text; never panics.
//!
//! ```text
//! key, value ─► keys: is the key secret? ──────────────► [REDACTED]
//!                  └ no: text: secrets in the value ───► value with [REDACTED] in it
//! url ─► url: user info, query, fragment ──────────────► url with [REDACTED] in it
//! ```

pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod scan;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod tokens;
pub(crate) mod url;
