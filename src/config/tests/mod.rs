//! Of the configuration as a whole. No test reads or changes the process's environment.

mod docs;
mod layers;
mod random;
mod reload;
mod round_trip;
mod secrets;
mod table;

use super::env::Environment;
use super::{Config, ConfigBuilder};
use crate::{ConfigError, Settings};

fn env<const N: usize>(variables: [(&str, &str); N]) -> Environment {
    variables.into_iter().collect()
}

/// What a file with this text would hold.
fn toml(text: &str) -> Settings {
    use figment::providers::Format;
    figment::Figment::from(figment::providers::Toml::string(text)).extract().expect("valid settings")
}

fn built(builder: ConfigBuilder) -> Config {
    builder.build_with(&Environment::default()).expect("a valid configuration")
}

fn problems_of(result: Result<Config, ConfigError>) -> Vec<String> {
    result.expect_err("a configuration with problems").problems().iter().map(ToString::to_string).collect()
}
