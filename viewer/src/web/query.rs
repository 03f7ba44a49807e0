//! What a page is asked for, in its URL, and URLs of pages.

use std::fmt::Write as _;

use super::respond::PageError;

/// The longest text of a field that is looked at.
const MAX_TEXT: usize = 2_000;

/// Adds `name=value`, encoded, to a URL that has a `?`; an empty value adds nothing.
pub(super) fn push(url: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let separator = if url.ends_with('?') { "" } else { "&" };
    // Writing into a string cannot fail.
    write!(url, "{separator}{name}=").ok();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            _ => {
                write!(url, "%{byte:02X}").ok();
            }
        }
    }
}

/// The URL of an endpoint's page.
pub(super) fn endpoint_url(event: &str, identifier: &str) -> String {
    let mut url = String::from("/endpoint?");
    push(&mut url, "event", event);
    // Also when it is empty: the page asks for both.
    if identifier.is_empty() {
        url.push_str("&identifier=");
    }
    push(&mut url, "identifier", identifier);
    url
}

/// A text that is not longer than makes sense.
pub(super) fn bounded(text: &str) -> Result<&str, PageError> {
    if text.len() > MAX_TEXT { Err(PageError::BadQuery("A field is too long.".into())) } else { Ok(text) }
}

/// A point in time as a form sends it: `2026-01-31T12:00`, with or without seconds, in UTC. µs since 1970.
pub(super) fn time(text: &str) -> Result<Option<i64>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || PageError::BadQuery(format!("`{text}` is not a time: write it like 2026-01-31T12:00 (UTC)."));
    let seconds = if text.len() == "2026-01-31T12:00".len() { ":00" } else { "" };
    let time = humantime::parse_rfc3339_weak(&format!("{text}{seconds}")).map_err(|_| bad())?;
    let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| bad())?;
    Ok(Some(i64::try_from(since.as_micros()).map_err(|_| bad())?))
}

/// The beginning of the last so much: `15m`, `24h`. µs since 1970.
pub(super) fn since(text: &str, now_us: i64) -> Result<Option<i64>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |_| PageError::BadQuery(format!("`{text}` is not a length of time: write it like 15m or 24h."));
    let length = humantime::parse_duration(text).map_err(bad)?;
    Ok(Some(now_us.saturating_sub(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))))
}

/// Milliseconds as a form sends them, in µs.
pub(super) fn millis(text: &str) -> Result<Option<i64>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(millis) if (0.0..1e12).contains(&millis) => Ok(Some((millis * 1_000.0) as i64)),
        _ => Err(PageError::BadQuery(format!("`{text}` is not a number of milliseconds."))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn values_cannot_leave_their_place_in_a_url() {
        assert_eq!(
            endpoint_url("a.b", "GET /x?a=b&c#d\"<é"),
            "/endpoint?event=a.b&identifier=GET%20%2Fx%3Fa%3Db%26c%23d%22%3C%C3%A9"
        );
        assert_eq!(endpoint_url("a", ""), "/endpoint?event=a&identifier=");
    }

    #[test]
    fn times_are_read_with_and_without_seconds() {
        assert_eq!(time("2001-09-09T01:46").unwrap(), Some(999_999_960_000_000));
        assert_eq!(time("2001-09-09T01:46:40").unwrap(), Some(1_000_000_000_000_000));
        assert_eq!(time("").unwrap(), None);
        assert!(time("yesterday").is_err() && time("1800-01-01T00:00").is_err());
        assert_eq!(since("1h", 3_600_000_001).unwrap(), Some(1));
        assert!(since("x", 0).is_err());
        assert_eq!(millis("1.5").unwrap(), Some(1_500));
        assert!(millis("NaN").is_err() && millis("-1").is_err());
    }
}
