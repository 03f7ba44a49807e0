//! The message of `google.protobuf` that ours have in them. The crate that has all of them is not worth its place in
//! a service for one.

// Public as what is generated is; nobody outside of the crate can name it.
#![allow(missing_docs, unreachable_pub)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// A point in time: seconds since 1970, and nanoseconds that count forwards, before 1970 as well.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::after_epoch(after),
            Err(error) => Self::before_epoch(error.duration()),
        }
    }
}

impl Timestamp {
    fn after_epoch(distance: Duration) -> Self {
        let seconds = i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
        // Less than a thousand million.
        Self { seconds, nanos: distance.subsec_nanos() as i32 }
    }

    fn before_epoch(distance: Duration) -> Self {
        let Self { seconds, nanos } = Self::after_epoch(distance);
        match nanos {
            0 => Self { seconds: -seconds, nanos },
            nanos => Self { seconds: -seconds - 1, nanos: NANOS_PER_SECOND - nanos },
        }
    }

    /// `None` where it is not written as it has to be, or the system cannot express it.
    pub(crate) fn time(self) -> Option<SystemTime> {
        let nanos = u32::try_from(self.nanos).ok().filter(|_| self.nanos < NANOS_PER_SECOND)?;
        let distance = Duration::from_secs(self.seconds.unsigned_abs());
        let whole = match self.seconds {
            0.. => UNIX_EPOCH.checked_add(distance),
            _ => UNIX_EPOCH.checked_sub(distance),
        };
        whole?.checked_add(Duration::from_nanos(nanos.into()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_1970_come_back() {
        for (seconds, nanos) in [(0, 0), (7, 5), (1_790_000_000, 999_999_999)] {
            let distance = Duration::new(seconds, nanos);
            for time in [UNIX_EPOCH + distance, UNIX_EPOCH - distance] {
                assert_eq!(Timestamp::from(time).time(), Some(time));
            }
        }
        let before = Timestamp::from(UNIX_EPOCH - Duration::from_millis(250));
        assert_eq!(before, Timestamp { seconds: -1, nanos: 750_000_000 });
    }

    #[test]
    fn what_is_no_time_is_none() {
        for (seconds, nanos) in [(0, -1), (0, NANOS_PER_SECOND), (i64::MAX, NANOS_PER_SECOND)] {
            assert_eq!(Timestamp { seconds, nanos }.time(), None, "{seconds} {nanos}");
        }
    }
}
