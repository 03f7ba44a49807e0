//! Settings inside a host's own configuration.

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use super::{Environment, toml};
use crate::{Config, Settings};

#[derive(Deserialize, Serialize, Default, Debug, PartialEq)]
struct AppConfig {
    port: u16,
    flame_on: Settings,
}

const FILE: &str = r#"
port = 8080
[flame_on]
service = "shop"
api_key = "k"
sample_rate = 0.02
max_trace_duration_ms = 60000
in_app_include = ["shop"]
local_dir = "/var/lib/shop"
events."axum.request.start" = { threshold_ms = 300 }
"#;

#[test]
fn a_round_trip_through_figment_keeps_everything_and_the_files_key() {
    let app: AppConfig = Figment::from(Serialized::defaults(AppConfig::default()))
        .merge(Toml::string(FILE))
        .merge(Env::prefixed("A_PREFIX_THAT_NOBODY_USES_").split("__"))
        .extract()
        .unwrap();
    assert_eq!(app.flame_on.api_key, Some("k".into()));
    let again: AppConfig = Figment::from(Toml::string(FILE)).merge(Serialized::defaults(&app)).extract().unwrap();
    assert_eq!(again, app);
    let config = Config::builder().settings(app.flame_on).build_with(&Environment::default()).unwrap();
    assert_eq!((config.service(), config.sample_rate()), ("shop", 0.02));
}

#[test]
fn an_integer_can_stand_for_a_share() {
    assert_eq!(toml("sample_rate = 1").sample_rate, Some(1.0));
}

#[test]
fn unknown_keys_are_refused_when_reading() {
    for text in ["sampel_rate = 1", "[events.a]\nthreshold = 3"] {
        let read: Result<Settings, _> = Figment::from(Toml::string(text)).extract();
        assert!(read.is_err(), "{text}");
    }
}

#[test]
fn settings_without_anything_written_are_empty() {
    assert_eq!(serde_json::to_string(&Settings::default()).unwrap(), "{}");
    assert_eq!(toml(""), Settings::default());
}
