//! Whatever is written, `build` answers.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::Environment;
use super::table::entries;
use crate::config::env::Environment as Variables;
use crate::{Config, Settings};

fn text() -> impl Strategy<Value = Value> {
    prop_oneof!["\\PC{0,20}", "(https?://)?[a-z0-9.:\\[\\]@/-]{0,20}", any::<String>()].prop_map(Value::from)
}

fn whole() -> impl Strategy<Value = Value> {
    prop_oneof![0..10_u64, 0..10_000_000_u64, any::<u64>()].prop_map(Value::from)
}

fn share() -> impl Strategy<Value = Value> {
    prop_oneof![-0.5..1.5_f64, any::<f64>().prop_filter("JSON has no others", |share| share.is_finite())]
        .prop_map(Value::from)
}

fn value(kind: &str) -> BoxedStrategy<Value> {
    match kind {
        "switch" => any::<bool>().prop_map(Value::from).boxed(),
        "share" => share().boxed(),
        "list" => prop::collection::vec(text(), 0..3).prop_map(Value::from).boxed(),
        "number" | "bytes" | "ms" | "s" | "Hz" => whole().boxed(),
        _ => text().boxed(),
    }
}

fn unit() -> impl Strategy<Value = Value> {
    let parts = (prop::option::of(any::<bool>()), prop::option::of(whole()), prop::option::of(share()));
    parts.prop_map(|(capture, threshold_ms, sample_rate)| {
        serde_json::json!({ "capture": capture, "threshold_ms": threshold_ms, "sample_rate": sample_rate })
    })
}

/// Settings in which about one key in eight is written.
fn settings() -> impl Strategy<Value = Value> {
    let keys: Vec<_> = entries()
        .into_iter()
        .map(|entry| (Just(entry.key), prop::option::weighted(0.125, value(entry.description.kind))))
        .collect();
    let events = prop::collection::hash_map("[ab]?(\\.b)?(\\.start)?", unit(), 0..4);
    (keys, events).prop_map(|(keys, events)| {
        let written = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let events: Map<_, _> = events.into_iter().collect();
        written.chain([("events".to_owned(), events.into())]).collect::<Map<_, _>>().into()
    })
}

proptest! {
    #[test]
    fn random_settings_are_built_or_refused_with_readable_problems(json in settings()) {
        let settings: Settings = serde_json::from_value(json).expect("each value has its key's type");
        let written = serde_json::to_value(&settings).expect("settings can be written");
        match Config::builder().settings(settings.clone()).build_with(&Environment::default()) {
            Ok(config) => {
                let (_, reloaded) = config.plan_reload(&settings).expect("they are valid");
                prop_assert_eq!(reloaded, crate::Reloaded::default());
            }
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                for problem in error.problems() {
                    prop_assert!(!problem.key.is_empty() && !problem.expected.is_empty());
                    prop_assert!(!problem.value.contains('\n'));
                }
            }
        }
        let mut again: Settings = serde_json::from_value(written).expect("what was written can be read");
        again.api_key = settings.api_key.clone();
        prop_assert_eq!(again, settings);
    }

    #[test]
    fn random_variables_are_read_or_refused(
        variables in prop::collection::vec(("FLAME_ON_[A-Z_]{0,12}|FLAME_ON_(SERVER_URL|CAPTURE|SAMPLE_RATE|MAX_EVENTS|LOCAL_DIR)|FLAMEON_API_KEY", any::<String>()), 0..6),
    ) {
        let variables: Variables = variables.into_iter().collect();
        if let Ok(config) = Config::builder().build_with(&variables) {
            prop_assert!((0.0..=1.0).contains(&config.sample_rate()));
        }
    }
}
