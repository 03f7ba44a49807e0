//! What a running agent takes from new settings.

use std::time::Duration;

use super::{built, problems_of, toml};
use crate::config::reload::Reloaded;
use crate::{Config, UnitSettings};

fn plan(config: &Config, text: &str) -> (Config, Reloaded) {
    config.plan_reload(&toml(text)).unwrap()
}

#[test]
fn live_keys_are_applied_and_the_others_named() {
    let config = built(Config::builder().service("shop"));
    let (config, reloaded) = plan(&config, "sample_rate = 0.5\nservice = 'x'\nflush_interval_ms = 100");
    assert_eq!(reloaded.applied, ["sample_rate", "flush_interval_ms"]);
    assert_eq!(reloaded.needs_restart, ["service"]);
    assert_eq!((config.sample_rate(), config.service()), (0.5, "shop"));
    assert_eq!(config.flush_interval(), Duration::from_millis(100));
}

#[test]
fn a_key_whose_value_stays_is_in_neither_list() {
    let config = built(Config::builder().service("shop").server_url("https://example.org/"));
    let same = "sample_rate = 0.01\nservice = 'shop'\nserver_url = 'example.org:50051'\nrelease = 'unknown'";
    assert_eq!(plan(&config, same).1, Reloaded::default());
}

#[test]
fn what_new_settings_do_not_mention_stays() {
    let config = built(Config::builder().sample_rate(0.2).max_events(9));
    let (config, _) = plan(&config, "max_events = 10");
    assert_eq!((config.sample_rate(), config.max_events()), (0.2, 10));
}

#[test]
fn a_second_reload_builds_on_the_first_and_still_names_what_is_pending() {
    let config = built(Config::builder());
    let (config, _) = plan(&config, "sample_rate = 0.5\nservice = 'x'");
    let (config, reloaded) = plan(&config, "sample_rate = 0.5\nservice = 'x'\nmax_stacks = 3");
    assert_eq!(reloaded, Reloaded { applied: vec!["max_stacks"], needs_restart: vec!["service"] });
    assert_eq!(config.sample_rate(), 0.5);
}

#[test]
fn events_are_merged_value_by_value() {
    let config = built(Config::builder().event("a", UnitSettings::new().threshold(Duration::from_secs(1))));
    let (config, reloaded) = plan(&config, "events.'a.start'.sample_rate = 1\nevents.b.capture = false");
    assert_eq!(reloaded.applied, ["events"]);
    let rules = &config.limits().events;
    assert_eq!((rules.of("a").threshold, rules.of("a").sample_rate), (Some(Duration::from_secs(1)), Some(1.0)));
    assert!(!rules.of("b").capture);
    assert_eq!(rules.highest_rate(config.sample_rate()), 1.0);
}

#[test]
fn one_wrong_value_refuses_the_whole_reload() {
    let config = built(Config::builder());
    for (text, problems) in [
        ("sample_rate = 0.5\nmax_events = 0", 1),
        ("sample_rate = 0.5\nserver_url = 'a b'\nevents.a.sample_rate = 7", 2),
        ("sample_rate = 0.5\nmax_batch_size = 501", 1),
        ("events.a.capture = false\nevents.'a.start'.capture = true", 1),
    ] {
        let refused = config.plan_reload(&toml(text)).map(|(config, _)| config);
        assert_eq!(problems_of(refused).len(), problems, "{text}");
    }
}

#[test]
fn a_default_server_that_is_written_now_needs_a_restart() {
    let config = built(Config::builder());
    let (config, reloaded) = plan(&config, "server_url = 'flameon.ai'");
    assert_eq!(reloaded.needs_restart, ["server_url"]);
    assert!(config.is_local_default());
    let (_, reloaded) = plan(&config, "api_key = 'k'");
    assert_eq!(reloaded.needs_restart, ["api_key"]);
}

#[test]
fn the_hosts_code_and_place_stay() {
    let config = built(Config::builder().process_default(false));
    assert!(!plan(&config, "sample_rate = 1").0.is_process_default());
}
