//! The kind of an error as a hash, without rendering or copying anything.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::report::{Cause, Report};
use crate::model::error_dedupe::ErrorKind;
use crate::model::ids::TraceId;

/// Bytes of a text that are looked at: those after it are cut from most events as well, and a `Display` may be endless.
const MAX_BYTES: usize = 64 * 1024;

/// Hashes what is formatted into it.
struct Hashed<H>(H, usize);

impl<H: Hasher> fmt::Write for Hashed<H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        self.1 += text.len();
        if self.1 < MAX_BYTES { Ok(()) } else { Err(fmt::Error) }
    }
}

/// The kind of `report`. The top frame is the place of the capture: the frames themselves are not known before they
/// are resolved, which is what a duplicate must not cost.
pub(super) fn of(report: &Report<'_>, trace_id: Option<TraceId>, hasher: &RandomState) -> ErrorKind {
    of_parts(report, None, trace_id, hasher)
}

/// As [`of`]; `error_type` makes a message that of an error of this type.
pub(crate) fn of_parts(
    report: &Report<'_>,
    error_type: Option<&str>,
    trace_id: Option<TraceId>,
    hasher: &RandomState,
) -> ErrorKind {
    let mut hashed = Hashed(hasher.build_hasher(), 0);
    error_type.hash(&mut hashed.0);
    // A `Display` that fails halfway has told enough to be told apart.
    match &report.cause {
        Cause::Message(text) => hashed.write_str(text),
        Cause::Error { error, type_name } => write!(hashed, "{type_name}\0{error}"),
        #[cfg(feature = "anyhow")]
        Cause::Anyhow(error) => write!(hashed, "anyhow\0{error:#}"),
        Cause::Text { type_name, text } => write!(hashed, "{type_name}\0{text}"),
    }
    .ok();
    let Report { location, severity, handled, route, request, .. } = report;
    let route = route.as_ref().or(request.as_ref().map(|request| &request.route));
    (location, severity, handled, route, trace_id).hash(&mut hashed.0);
    ErrorKind(hashed.0.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::error_event::Severity;

    #[test]
    fn what_makes_a_kind_tells_errors_apart_and_nothing_else_does() {
        let hasher = RandomState::new();
        let kind = |change: fn(Report<'static>) -> Report<'static>| of(&change(Report::message("boom")), None, &hasher);
        let plain = kind(|report| report);
        let same: [fn(Report<'static>) -> Report<'static>; 4] = [
            |report| report.tag("a", 1),
            |report| report.fingerprint(["x"]),
            |report| report.span_id("s"),
            |report| report.redact(["x"]),
        ];
        let other: [fn(Report<'static>) -> Report<'static>; 4] = [
            |report| report.severity(Severity::Warning),
            |report| report.handled(false),
            |report| report.route("r"),
            |_| Report::message("bang"),
        ];
        assert!(same.into_iter().all(|change| kind(change) == plain));
        assert!(other.into_iter().all(|change| kind(change) != plain));
        let parsed = "x".parse::<u8>().unwrap_err();
        assert_ne!(of(&Report::message(parsed.to_string()), None, &hasher), of(&Report::error(&parsed), None, &hasher));
        assert_ne!(of(&Report::message("boom"), Some(TraceId::from_random(1)), &hasher), plain);
    }
}
