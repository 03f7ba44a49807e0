//! Environment, figment, and changes while running.
#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "an example")]
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use flame_on::{Config, FlameOn, Settings};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize, Default)]
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
events."axum.request.start" = { threshold_ms = 300 }
"#;

fn main() -> anyhow::Result<()> {
    // From the environment only.
    let _ = Config::builder().build()?;

    // The host's own file; `Serialized::defaults` must not write a redacted key over the real one.
    let app: AppConfig = Figment::from(Serialized::defaults(AppConfig::default()))
        .merge(Toml::string(FILE))
        .merge(Env::prefixed("SHOP_").split("__"))
        .extract()?;
    let again: AppConfig = Figment::from(Toml::string(FILE)).merge(Serialized::defaults(&app)).extract()?;
    assert_eq!(again.flame_on.api_key, app.flame_on.api_key);
    let config = Config::builder()
        .settings(app.flame_on)
        .release(env!("CARGO_PKG_VERSION"))
        .flush_interval(Duration::from_secs(1))
        .build()?;
    let flame_on = FlameOn::start(config)?;

    // All problems at once.
    let wrong = Config::builder().sample_rate(7.0).flush_interval(Duration::ZERO).build().map(|_| ()).unwrap_err();
    assert_eq!(wrong.problems().len(), 2);

    // While running: an admin endpoint, a SIGHUP, a feature flag.
    flame_on.set_sample_rate(1.0)?;
    let reloaded = flame_on.reload(&toml("sample_rate = 0.5\nservice = 'x'")?)?;
    assert_eq!((reloaded.applied, reloaded.needs_restart), (vec!["sample_rate"], vec!["service"]));
    assert!(flame_on.set_sample_rate(f64::NAN).is_err());
    Ok(())
}
fn toml(text: &str) -> Result<Settings, figment::Error> {
    Figment::from(Toml::string(text)).extract()
}
