//! The API key is shown nowhere.

use super::{Environment, env};
use crate::{Config, Settings};

const KEY: &str = "s3cret-of-the-service";

fn assert_hidden(text: &str) {
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn debug_never_shows_the_key() {
    let builder = Config::builder().api_key(KEY);
    assert_hidden(&format!("{builder:?}"));
    let config = builder.build_with(&Environment::default()).unwrap();
    assert_hidden(&format!("{config:#?} {:?} {:?}", config.limits(), config.api_key()));
    let settings = Settings { api_key: Some(KEY.into()), ..Settings::default() };
    assert!(format!("{settings:?}").contains("[redacted]"));
    assert_hidden(&format!("{settings:?}"));
    assert_hidden(&format!("{:?}", env([("FLAMEON_API_KEY", KEY)])));
}

#[test]
fn serialising_leaves_the_key_out() {
    let settings = Settings { api_key: Some(KEY.into()), capture: Some(true), ..Settings::default() };
    assert_eq!(serde_json::to_string(&settings).unwrap(), r#"{"capture":true}"#);
}

#[test]
fn a_wrong_key_is_refused_without_being_shown() {
    let wrong = format!("{KEY}\n");
    let error = Config::builder().api_key(wrong.as_str()).build_with(&Environment::default()).unwrap_err();
    assert_eq!(error.problems()[0].value, "[redacted]");
    assert_hidden(&format!("{error} {error:?}"));

    let variables = env([("FLAME_ON_API_KEY", &format!("two {KEY}"))]);
    let error = Config::builder().build_with(&variables).unwrap_err();
    assert_eq!(error.problems()[0].key, "FLAME_ON_API_KEY");
    assert_hidden(&format!("{error} {error:?}"));
}

#[test]
fn a_password_in_a_refused_address_is_not_shown() {
    let address = format!("https://user:{KEY}@flameon.ai");
    let variables = env([("FLAME_ON_SERVER_URL", &address)]);
    let error = Config::builder().server_url(address.as_str()).build_with(&variables).unwrap_err();
    assert_eq!(error.problems().len(), 2);
    assert_eq!(error.problems()[1].value, "[redacted]@flameon.ai");
    assert_hidden(&format!("{error} {error:?}"));
}
