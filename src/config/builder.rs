//! Puts the layers together: code over environment over settings over defaults.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Config;
use super::env::Environment;
use super::hooks::Hooks;
use crate::model::config::keys::{key, with_keys};
use crate::model::config::kinds::Kind;
use crate::model::config::types::{given, key_doc};
use crate::model::config::{
    Compression, ConfigError, CpuSignal, Limits, NativeCapture, Secret, Settings, UnitSettings,
};

/// Collects what the code, the environment and the host's settings say, in this order of precedence; the defaults are
/// below them all.
///
/// Nothing is judged before [`ConfigBuilder::build`], which lists all problems at once. A `Duration` is held in the
/// unit of its key, a part of a unit rounds up. An empty text counts as not written.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ConfigBuilder {
    code: Settings,
    settings: Settings,
    reads_env: bool,
    pub(super) hooks: Hooks,
    is_process_default: bool,
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            code: Settings::default(),
            settings: Settings::default(),
            reads_env: true,
            hooks: Hooks::default(),
            is_process_default: true,
        }
    }
}

/// The argument of a setter as its kind takes it.
macro_rules! converted {
    (Names $names:ident) => {
        $names.into_iter().map(Into::into).collect()
    };
    ($kind:ident $value:ident) => {
        $value.into()
    };
}

macro_rules! setters {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        impl ConfigBuilder {
            $(
                $(#[doc = $doc])+
                #[doc = key_doc!($key $kind $spec $change)]
                pub fn $name(mut self, value: given!($kind)) -> Self {
                    self.code.$key = Some(key::$key.write(converted!($kind value)));
                    self
                }
            )+
        }
    };
}

with_keys!(setters);

impl ConfigBuilder {
    /// Says what holds for one event; a `.start` at the end of its name is ignored. What is not said here may be said
    /// by the settings. A second call with the same name replaces the first.
    pub fn event(mut self, name: impl Into<String>, settings: UnitSettings) -> Self {
        self.code.events.insert(name.into(), settings);
        self
    }

    /// The host's settings, from its own file or type: below code and environment, above the defaults. A second call
    /// replaces the first.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Does not read the environment (tests, or a host that has put it into the settings already).
    pub fn ignore_env(mut self) -> Self {
        self.reads_env = false;
        self
    }

    /// Whether free functions outside of any scope use this agent. Default: `true`, and the first agent that is
    /// started with it keeps the place.
    pub fn process_default(mut self, is_default: bool) -> Self {
        self.is_process_default = is_default;
        self
    }

    /// Reads the environment, puts the layers together and checks every value.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems, each with its key (or environment variable), value, and what is allowed.
    pub fn build(self) -> Result<Config, ConfigError> {
        let environment = if self.reads_env { Environment::of_process() } else { Environment::default() };
        self.build_with(&environment)
    }

    /// `build` with the environment given.
    pub(super) fn build_with(self, environment: &Environment) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let from_env = environment.settings(&mut problems);
        let settings = self.settings.normalised(&mut problems);
        let code = self.code.normalised(&mut problems);
        let settings = settings.overlaid(from_env).overlaid(code);
        let limits = Limits::check(&settings, &mut problems);
        ConfigError::unless_empty(problems)?;

        let mut warnings = environment.warnings();
        warnings.extend(scheme_without_effect(&settings));
        Ok(Config {
            settings,
            limits: Arc::new(limits),
            hooks: self.hooks,
            warnings,
            is_process_default: self.is_process_default,
            proxy: environment.proxy(),
        })
    }
}

/// Whoever writes `http://` expects plain text, but only `use_ssl` decides.
fn scheme_without_effect(settings: &Settings) -> Option<String> {
    let url = settings.server_url.as_deref()?;
    let is_plain = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    (is_plain && settings.use_ssl.is_none())
        .then(|| "server_url begins with http://, but TLS is used unless use_ssl is false".to_owned())
}
