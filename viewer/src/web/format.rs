//! Numbers and times as people read them.

use std::time::{Duration, UNIX_EPOCH};

/// A duration in µs, with three digits that matter.
pub(super) fn duration(micros: i64) -> String {
    let value = micros as f64;
    let (value, unit) = match micros.unsigned_abs() {
        0..1_000 => return format!("{micros} µs"),
        1_000..1_000_000 => (value / 1e3, "ms"),
        1_000_000..120_000_000 => (value / 1e6, "s"),
        120_000_000..7_200_000_000 => (value / 60e6, "min"),
        _ => (value / 3_600e6, "h"),
    };
    let decimals = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 100.0) };
    format!("{value:.decimals$} {unit}")
}

/// A point in time, in µs since 1970, as `2026-01-31 12:00:00` in UTC.
pub(super) fn time(micros: i64) -> String {
    stamp(micros).map_or_else(|| "?".to_owned(), |stamp| stamp.replace('T', " "))
}

/// As an `<input type=datetime-local>` wants it.
pub(super) fn input_time(micros: i64) -> String {
    stamp(micros).unwrap_or_default()
}

fn stamp(micros: i64) -> Option<String> {
    // The last year that humantime can print is 9999.
    let seconds = u64::try_from(micros / 1_000_000).ok().filter(|seconds| *seconds < 253_402_300_799)?;
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    Some(text.trim_end_matches('Z').to_owned())
}

/// A part of a whole, in percent.
pub(super) fn share(part: i64, whole: i64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

/// A large number with a thin space between its thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_500, "1.50 ms"),
            (45_678, "45.7 ms"),
            (456_789, "457 ms"),
            (1_234_567, "1.23 s"),
            (-1_500, "-1.50 ms"),
            (180_000_000, "3.00 min"),
            (7_200_000_000, "2.00 h"),
        ] {
            assert_eq!(duration(micros), text);
        }
    }

    #[test]
    fn times_are_utc_and_nonsense_is_not_a_time() {
        assert_eq!(time(1_000_000_000_000_000), "2001-09-09 01:46:40");
        assert_eq!(input_time(0), "1970-01-01T00:00:00");
        assert_eq!((time(-5_000_000), time(i64::MAX)), ("?".to_owned(), "?".to_owned()));
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(123), "123");
    }
}
