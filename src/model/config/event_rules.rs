//! What configuration says about events, checked and ready to be asked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::key;
use super::kinds::{Kind, Millis};
use super::problem::Problem;
use super::settings::UnitSettings;

/// Thresholds of events: from 0 (every trace is kept) to a day, the longest that a trace can last.
const THRESHOLD: Millis = Millis { default: 0, min: 0, max: 24 * 60 * 60 * 1_000 };

/// What configuration says about one event. The default says nothing: captured, handler's threshold, general rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EventRule {
    /// `false` switches the event off.
    pub(crate) capture: bool,
    /// Wins over the handler's.
    pub(crate) threshold: Option<Duration>,
    /// Used instead of the general `sample_rate`.
    pub(crate) sample_rate: Option<f64>,
}

impl Default for EventRule {
    fn default() -> Self {
        Self { capture: true, threshold: None, sample_rate: None }
    }
}

/// The rules of all events that configuration names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EventRules {
    /// Looked up for each sampled unit; among so few names comparing is faster than hashing.
    by_name: BTreeMap<String, EventRule>,
    /// The highest rate of an event that is not off; 0 when none has one.
    highest_rate: f64,
}

impl EventRules {
    /// The rule for an event; its name may end in `.start`.
    pub(crate) fn of(&self, event: &str) -> EventRule {
        self.by_name.get(event_name(event)).copied().unwrap_or_default()
    }

    /// The rate that the dice are rolled against before the event is known.
    pub(crate) fn highest_rate(&self, default_rate: f64) -> f64 {
        self.highest_rate.max(default_rate)
    }

    /// Checks the events of merged settings, whose names are normalised already.
    pub(crate) fn check(events: &BTreeMap<String, UnitSettings>, problems: &mut Vec<Problem>) -> Self {
        let by_name: BTreeMap<_, _> =
            events.iter().map(|(name, unit)| (name.clone(), checked_rule(name, unit, problems))).collect();
        let rates = by_name.values().filter(|rule| rule.capture).filter_map(|rule| rule.sample_rate);
        let highest_rate = rates.fold(0.0, f64::max);
        Self { by_name, highest_rate }
    }
}

/// The name that configuration knows an event by: without a `.start` at its end.
fn event_name(written: &str) -> &str {
    written.strip_suffix(".start").unwrap_or(written)
}

/// Gives every event its normal name. Two spellings of one event are a problem: which of them wins would be chance.
pub(super) fn normalised(
    events: BTreeMap<String, UnitSettings>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, UnitSettings> {
    let mut normal = BTreeMap::new();
    for (written, unit) in events {
        let name = event_name(&written);
        let path = format!("events.{written:?}");
        if name.is_empty() {
            problems.push(Problem::new(path, written, "the name of an event"));
        } else if normal.contains_key(name) {
            problems.push(Problem::new(path, &written, format!("one spelling of {name:?} (`.start` is ignored)")));
        } else {
            normal.insert(name.to_owned(), unit);
        }
    }
    normal
}

fn checked_rule(name: &str, unit: &UnitSettings, problems: &mut Vec<Problem>) -> EventRule {
    let mut refuse = |key: &str, value, expected| {
        problems.push(Problem::new(format!("events.{name:?}.{key}"), value, expected));
    };
    let mut rule = EventRule { capture: unit.capture.unwrap_or(true), ..EventRule::default() };
    if let Some(written) = &unit.threshold_ms {
        rule.threshold = THRESHOLD.check(written);
        if rule.threshold.is_none() {
            refuse("threshold_ms", THRESHOLD.show(written), THRESHOLD.expected());
        }
    }
    if let Some(written) = &unit.sample_rate {
        rule.sample_rate = key::sample_rate.check(written);
        if rule.sample_rate.is_none() {
            refuse("sample_rate", key::sample_rate.show(written), key::sample_rate.expected());
        }
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(events: &[(&str, UnitSettings)]) -> (EventRules, Vec<String>) {
        let mut problems = Vec::new();
        let events = events.iter().map(|(name, unit)| ((*name).to_owned(), unit.clone())).collect();
        let rules = EventRules::check(&normalised(events, &mut problems), &mut problems);
        (rules, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_event_is_found_with_and_without_start() {
        let (rules, problems) = rules(&[("axum.request.start", UnitSettings::new().threshold(Duration::from_secs(3)))]);
        assert!(problems.is_empty());
        for name in ["axum.request", "axum.request.start"] {
            assert_eq!(rules.of(name).threshold, Some(Duration::from_secs(3)), "{name}");
        }
        assert_eq!(rules.of("axum.request.start.start"), EventRule::default());
        assert_eq!(rules.of("start"), EventRule::default());
    }

    #[test]
    fn the_dice_use_the_highest_rate_of_an_event_that_is_on() {
        let (rules, _) = rules(&[
            ("a", UnitSettings::new().sample_rate(0.3)),
            ("b", UnitSettings::new().sample_rate(0.2)),
            ("off", UnitSettings::off().sample_rate(1.0)),
        ]);
        assert_eq!((rules.highest_rate(0.01), rules.highest_rate(0.5)), (0.3, 0.5));
        assert_eq!(EventRules::default().highest_rate(0.01), 0.01);
    }

    #[test]
    fn two_spellings_of_one_event_are_a_problem() {
        let (_, problems) = rules(&[("a.b", UnitSettings::off()), ("a.b.start", UnitSettings::new())]);
        assert_eq!(
            problems,
            ["events.\"a.b.start\" = a.b.start: expected one spelling of \"a.b\" (`.start` is ignored)"]
        );
    }

    #[test]
    fn an_event_needs_a_name() {
        let (_, problems) = rules(&[("", UnitSettings::off()), (".start", UnitSettings::off())]);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn rates_and_thresholds_are_checked_with_the_path_of_their_key() {
        let day = Duration::from_secs(24 * 60 * 60);
        let (rules, problems) = rules(&[
            ("axum.request", UnitSettings::new().sample_rate(f64::NAN)),
            ("b", UnitSettings::new().threshold(day + Duration::from_nanos(1)).sample_rate(-1.0)),
            ("c", UnitSettings::new().threshold(day)),
            ("d", UnitSettings::new().threshold(Duration::ZERO)),
        ]);
        assert_eq!(
            problems,
            [
                "events.\"axum.request\".sample_rate = NaN: expected 0.0 to 1.0",
                "events.\"b\".threshold_ms = 86400001: expected 0 to 86400000",
                "events.\"b\".sample_rate = -1: expected 0.0 to 1.0",
            ]
        );
        assert_eq!((rules.of("c").threshold, rules.of("d").threshold), (Some(day), Some(Duration::ZERO)));
    }
}
