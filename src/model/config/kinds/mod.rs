//! The kinds of values that keys have: how one is written, read from text, checked and shown.

mod choices;
mod numbers;
mod texts;

pub use choices::{Compression, CpuSignal, NativeCapture};
pub(crate) use choices::{Compressions, CpuSignals, NativeModes, Switch};
pub(crate) use numbers::{AutoMemory, Count, Disk, Hertz, Memory, Millis, Seconds, Share, millis_rounded_up};
pub(crate) use texts::{Address, ApiKey, Folder, HostName, Names, OptionalPath, Text};

use super::problem::Problem;

/// One kind of value, together with what an entry of the table says about it (default, range).
pub(crate) trait Kind {
    /// As [`Settings`](super::Settings) holds it.
    type Written;
    /// As a setter takes it.
    type Given;
    /// As the rest of the crate uses it.
    type Checked: PartialEq;

    /// The value of a key that nobody has written.
    fn default(&self) -> Self::Checked;

    /// Turns what a setter was given into what a file could hold. Never fails: [`Kind::check`] judges.
    fn write(&self, given: Self::Given) -> Self::Written;

    /// Reads the text of an environment variable, which is trimmed and not empty.
    fn read(&self, text: &str) -> Option<Self::Written>;

    /// `None` when the value is not allowed.
    fn check(&self, written: &Self::Written) -> Option<Self::Checked>;

    /// Whether the value counts as not written (an empty text).
    fn is_blank(&self, _written: &Self::Written) -> bool {
        false
    }

    /// What is allowed, as [`Problem::expected`] says it.
    fn expected(&self) -> String;

    /// The value as a problem shows it.
    fn show(&self, written: &Self::Written) -> String;

    /// A text that could not be read, as a problem shows it.
    fn show_text(&self, text: &str) -> String {
        super::problem::shown(text)
    }

    /// What the documentation and the tests of the table need to know.
    #[cfg(test)]
    fn describe(&self) -> Description;
}

/// See [`Kind::describe`].
#[cfg(test)]
pub(crate) struct Description {
    /// The type, with its unit.
    pub(crate) kind: &'static str,
    /// The default as a file would hold it; `None` = the key may be absent.
    pub(crate) default: Option<serde_json::Value>,
    /// The first and last allowed values and the nearest refused ones, where there is a range.
    pub(crate) edges: Vec<(serde_json::Value, bool)>,
}

/// The checked value of one key; the default when it is not written, or when it is wrong.
pub(crate) fn checked<K: Kind>(
    key: &str,
    kind: &K,
    written: Option<&K::Written>,
    problems: &mut Vec<Problem>,
) -> K::Checked {
    let Some(written) = written else { return kind.default() };
    kind.check(written).unwrap_or_else(|| {
        problems.push(Problem::new(key, kind.show(written), kind.expected()));
        kind.default()
    })
}

#[cfg(test)]
fn described<const N: usize>(
    kind: &'static str,
    default: Option<&'static str>,
    edges: [(String, bool); N],
) -> Description {
    let edges = edges.map(|(value, is_allowed)| (value.into(), is_allowed)).to_vec();
    Description { kind, default: default.map(Into::into), edges }
}
