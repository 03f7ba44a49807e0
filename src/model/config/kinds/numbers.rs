//! Numbers with a range: shares, counts, sizes, spans of time.

use std::time::Duration;

use super::Kind;

/// A part of a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) default: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Kind for Share {
    type Written = f64;
    type Given = f64;
    type Checked = f64;

    fn default(&self) -> f64 {
        self.default
    }
    fn write(&self, given: f64) -> f64 {
        given
    }
    fn read(&self, text: &str) -> Option<f64> {
        text.parse().ok()
    }
    fn check(&self, written: &f64) -> Option<f64> {
        // No range contains NaN. A negative zero is a zero.
        (self.min..=self.max).contains(written).then_some(written.abs())
    }
    fn expected(&self) -> String {
        format!("{:?} to {:?}", self.min, self.max)
    }
    fn show(&self, written: &f64) -> String {
        // The largest doubles have 309 digits.
        self.show_text(&written.to_string())
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        let edges = [(self.min, true), (self.max, true), (self.min.next_down(), false), (self.max.next_up(), false)];
        super::Description {
            kind: "share",
            default: Some(self.default.into()),
            edges: edges.map(|(value, is_allowed)| (value.into(), is_allowed)).to_vec(),
        }
    }
}

macro_rules! whole_numbers {
    ($($(#[doc = $doc:literal])+ $kind:ident: $checked:ty, $unit:literal, $from:expr, $to:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $kind {
            pub(crate) default: u64,
            pub(crate) min: u64,
            pub(crate) max: u64,
        }

        impl Kind for $kind {
            type Written = u64;
            type Given = $checked;
            type Checked = $checked;

            fn default(&self) -> $checked {
                $from(self.default)
            }
            fn write(&self, given: $checked) -> u64 {
                $to(given)
            }
            fn read(&self, text: &str) -> Option<u64> {
                text.parse().ok()
            }
            fn check(&self, written: &u64) -> Option<$checked> {
                (self.min..=self.max).contains(written).then(|| $from(*written))
            }
            fn expected(&self) -> String {
                range(self.min, self.max)
            }
            fn show(&self, written: &u64) -> String {
                written.to_string()
            }
            #[cfg(test)]
            fn describe(&self) -> super::Description {
                super::Description {
                    kind: $unit,
                    default: Some(self.default.into()),
                    edges: edges(self.min, self.max),
                }
            }
        }
    )+};
}

whole_numbers! {
    /// How many.
    Count: usize, "number", saturated, widened;
    /// Bytes in memory.
    Memory: usize, "bytes", saturated, widened;
    /// Bytes on disk.
    Disk: u64, "bytes", std::convert::identity, std::convert::identity;
    /// How often in a second.
    Hertz: u32, "Hz", |hertz| u32::try_from(hertz).unwrap_or(u32::MAX), u64::from;
    /// A span of time in milliseconds.
    Millis: Duration, "ms", Duration::from_millis, millis_rounded_up;
    /// A span of time in seconds.
    Seconds: Duration, "s", Duration::from_secs, seconds_rounded_up;
}

/// Bytes in memory that the machine decides unless they are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AutoMemory {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Kind for AutoMemory {
    type Written = u64;
    type Given = u64;
    type Checked = Option<u64>;

    fn default(&self) -> Option<u64> {
        None
    }
    fn write(&self, given: u64) -> u64 {
        given
    }
    fn read(&self, text: &str) -> Option<u64> {
        text.parse().ok()
    }
    fn check(&self, written: &u64) -> Option<Option<u64>> {
        (self.min..=self.max).contains(written).then_some(Some(*written))
    }
    fn expected(&self) -> String {
        range(self.min, self.max)
    }
    fn show(&self, written: &u64) -> String {
        written.to_string()
    }
    #[cfg(test)]
    fn describe(&self) -> super::Description {
        super::Description { kind: "bytes", default: None, edges: edges(self.min, self.max) }
    }
}

fn range(min: u64, max: u64) -> String {
    format!("{min} to {max}")
}

#[cfg(test)]
fn edges(min: u64, max: u64) -> Vec<(serde_json::Value, bool)> {
    let mut edges = vec![(min.into(), true), (max.into(), true), ((max + 1).into(), false), (u64::MAX.into(), false)];
    edges.extend(min.checked_sub(1).map(|below| (below.into(), false)));
    edges
}

/// On a 32-bit machine a larger number means as much as can be addressed.
fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn widened(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Whole milliseconds. Rounded up, so that a short span never becomes none; what overflows saturates, which is out
/// of every range.
pub(crate) fn millis_rounded_up(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn seconds_rounded_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_unit_rounds_up() {
        assert_eq!(millis_rounded_up(Duration::from_nanos(1)), 1);
        assert_eq!(millis_rounded_up(Duration::from_micros(1_001)), 2);
        assert_eq!(millis_rounded_up(Duration::from_millis(7)), 7);
        assert_eq!(seconds_rounded_up(Duration::from_millis(59_001)), 60);
    }

    #[test]
    fn an_overflow_saturates_and_a_zero_stays_a_zero() {
        assert_eq!((millis_rounded_up(Duration::MAX), seconds_rounded_up(Duration::MAX)), (u64::MAX, u64::MAX));
        assert_eq!((millis_rounded_up(Duration::ZERO), seconds_rounded_up(Duration::ZERO)), (0, 0));
    }

    #[test]
    fn nan_and_infinity_are_never_a_share() {
        let share = Share { default: 0.5, min: 0.0, max: 1.0 };
        for text in ["nan", "inf", "-inf", "1e999", "-0.1"] {
            assert_eq!(share.read(text).and_then(|written| share.check(&written)), None, "{text}");
        }
        assert_eq!(share.check(&-0.0).map(f64::to_bits), Some(0));
    }
}
