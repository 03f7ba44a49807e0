//! Points in time as text, in UTC.

use std::time::{Duration, SystemTime};

/// `20261122T195136.123Z`: sorts by time and is a file name everywhere.
pub(super) fn compact(time: SystemTime) -> String {
    let Utc { year, month, day, hour, minute, second, millis } = Utc::from(time);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{millis:03}Z")
}

/// `2026-11-22T19:51:36.123Z` (RFC 3339).
pub(super) fn rfc3339(time: SystemTime) -> String {
    let Utc { year, month, day, hour, minute, second, millis } = Utc::from(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Whether `text` is what [`compact`] makes.
pub(super) fn is_compact(text: &str) -> bool {
    const FORM: &[u8] = b"00000000T000000.000Z";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form })
}

#[derive(Debug, PartialEq)]
struct Utc {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millis: u32,
}

/// The last millisecond of the year 9999; later times would not sort.
const LAST: Duration = Duration::from_millis(253_402_300_799_999);

impl From<SystemTime> for Utc {
    /// Times before 1970 or after 9999 become the nearest in between.
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST);
        let seconds = since_epoch.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let second_of_day = seconds % 86_400;
        Self {
            year,
            month,
            day,
            hour: second_of_day / 3_600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
            millis: since_epoch.subsec_millis(),
        }
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March here, so that a leap day
/// is the last of its year (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + DAYS_FROM_0000_03_01;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn known_instants_have_their_dates() {
        assert_eq!(compact(at(0)), "19700101T000000.000Z");
        assert_eq!(compact(at(951_782_400_000)), "20000229T000000.000Z");
        assert_eq!(compact(at(1_709_251_199_999)), "20240229T235959.999Z");
        assert_eq!(compact(at(1_795_377_096_123)), "20261122T195136.123Z");
        assert_eq!(rfc3339(at(1_795_377_096_123)), "2026-11-22T19:51:36.123Z");
        assert_eq!(compact(at(4_107_542_400_000)), "21000301T000000.000Z");
    }

    #[test]
    fn times_out_of_range_stay_sortable() {
        assert_eq!(compact(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "19700101T000000.000Z");
        assert_eq!(compact(at(400_000_000_000_000)), "99991231T235959.999Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut last = (1970, 1, 1);
        for day in 1..146_097 {
            let date = civil(day);
            assert!(date > last && date.1 <= 12 && date.2 <= 31, "{date:?} after {last:?}");
            last = date;
        }
        assert_eq!(last, (2369, 12, 31));
    }

    #[test]
    fn only_its_own_form_is_recognised() {
        assert!(is_compact("20261122T195136.123Z"));
        for other in ["20261122T195136,123Z", "2026112xT195136.123Z", "20261122T195136.123", ""] {
            assert!(!is_compact(other), "{other}");
        }
    }
}
