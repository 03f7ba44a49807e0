//! What was written: every key, each of them optional.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event_rules;
use super::keys::{key, with_keys};
use super::kinds::{Kind, millis_rounded_up};
use super::problem::Problem;
use super::secret::Secret;
use super::types::{key_doc, written};

/// The value where a running agent can take it.
macro_rules! if_live {
    (live $value:expr) => {
        $value
    };
    (restart $value:expr) => {
        None
    };
}

macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        /// A configuration as a user wrote it: what a file or a host's own configuration type holds. Unchecked;
        /// [`Config::builder`](crate::Config::builder) takes it and reports what is wrong.
        ///
        /// `None` means not written, and so does an empty text: a lower layer or the default decides. Numbers carry
        /// their unit in the name of their key. Unknown keys are refused when reading. The API key is read but never
        /// written, so that a round trip cannot replace it by `[redacted]`.
        ///
        /// ```
        /// use flame_on::{Settings, UnitSettings};
        ///
        /// let mut settings = Settings::default();
        /// settings.sample_rate = Some(0.02);
        /// settings.events.insert("axum.request".into(), UnitSettings::off());
        /// ```
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct Settings {
            $(
                $(#[doc = $doc])+
                #[doc = key_doc!($key $kind $spec $change)]
                #[serde(skip_serializing_if = "Option::is_none")]
                $(#[serde($serde)])?
                pub $key: Option<written!($kind)>,
            )+
            /// What holds for single events, by name; a `.start` at the end of a name is ignored. Layers merge value
            /// by value.
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            pub events: BTreeMap<String, UnitSettings>,
        }

        impl Settings {
            /// These settings, with those of a higher layer put over them.
            pub(crate) fn overlaid(self, above: Self) -> Self {
                let mut events = self.events;
                for (name, unit) in above.events {
                    let below = events.remove(&name).unwrap_or_default();
                    events.insert(name, below.overlaid(unit));
                }
                Self { $($key: above.$key.or(self.$key),)+ events }
            }

            /// The same settings without empty texts, each event under its normal name.
            pub(crate) fn normalised(self, problems: &mut Vec<Problem>) -> Self {
                Self {
                    $($key: self.$key.filter(|written| !key::$key.is_blank(written)),)+
                    events: event_rules::normalised(self.events, problems),
                }
            }

            /// The part that can change while the agent runs.
            pub(crate) fn live_part(self) -> Self {
                Self { $($key: if_live!($change self.$key),)+ events: self.events }
            }
        }
    };
}

with_keys!(settings);

/// What configuration may say about one event. `None` = not written.
///
/// ```
/// use std::time::Duration;
/// use flame_on::UnitSettings;
///
/// let slow_only = UnitSettings::new().threshold(Duration::from_secs(2)).sample_rate(0.1);
/// assert_eq!(slow_only.threshold_ms, Some(2_000));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UnitSettings {
    /// `false` switches the event off. Default: on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<bool>,
    /// Traces that take less are dropped; in milliseconds, 0 (keep all) to 86,400,000 (a day). Default: the
    /// handler's, else 100 ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_ms: Option<u64>,
    /// The share that is sampled, 0.0 to 1.0. Default: the general `sample_rate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<f64>,
}

impl UnitSettings {
    /// Says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Switches the event off: it is never captured.
    pub fn off() -> Self {
        Self { capture: Some(false), ..Self::default() }
    }

    /// Drops traces that take less than this: 0 (keep all) to one day; a part of a millisecond rounds up.
    #[must_use]
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold_ms = Some(millis_rounded_up(threshold));
        self
    }

    /// The share that is sampled, 0.0 to 1.0.
    #[must_use]
    pub fn sample_rate(mut self, share: f64) -> Self {
        self.sample_rate = Some(share);
        self
    }

    fn overlaid(self, above: Self) -> Self {
        Self {
            capture: above.capture.or(self.capture),
            threshold_ms: above.threshold_ms.or(self.threshold_ms),
            sample_rate: above.sample_rate.or(self.sample_rate),
        }
    }
}
