//! The configuration of an agent, from what was written to what is checked, with the code that a host plugs in.
//!
//! What keys there are and what they may be stands in `model::config`. This folder puts the layers together (code over
//! environment over settings over defaults) and is the only one that reads the process's environment.

mod builder;
mod env;
mod hooks;
mod reload;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use builder::ConfigBuilder;
pub(crate) use hooks::Hooks;
pub use reload::Reloaded;

use crate::model::config::keys::with_keys;
use crate::model::config::types::{key_doc, lent};
use crate::model::config::{Compression, CpuSignal, Limits, NativeCapture, Secret, ServerAddress, Settings};

/// A checked configuration: every value is in range. [`Config::builder`] makes one.
///
/// ```
/// use flame_on::Config;
///
/// let config = Config::builder().ignore_env().service("shop").capture(true).build()?;
/// assert_eq!(config.service(), "shop");
/// assert_eq!(config.sample_rate(), 0.01);
/// # Ok::<(), flame_on::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The layers as they were written, merged: what a reload is put over.
    settings: Settings,
    limits: Arc<Limits>,
    hooks: Hooks,
    warnings: Vec<String>,
    is_process_default: bool,
    proxy: env::Proxy,
}

impl Config {
    /// Starts with nothing written.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// What is odd about the environment or the settings but no reason to refuse them: an unknown `FLAME_ON_…`
    /// variable, a scheme in `server_url` that has no effect. The agent logs them once when it starts.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether neither a key nor a server is written, so that traces and errors stay in `local_dir` (unless the code
    /// gives a shipper).
    pub fn is_local_default(&self) -> bool {
        self.settings.api_key.is_none() && self.settings.server_url.is_none()
    }

    /// Whether somebody has written how often to sample, and so means it.
    #[cfg_attr(not(native_capture), allow(dead_code, reason = "nothing is sampled"))]
    pub(crate) fn is_sample_rate_written(&self) -> bool {
        self.settings.cpu_sample_hz.is_some()
    }

    /// What `HTTPS_PROXY` said when the configuration was built; empty for nothing.
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "nothing is reached over the net"))]
    pub(crate) fn https_proxy(&self) -> &str {
        &self.proxy.https
    }

    /// What `NO_PROXY` said.
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "nothing is reached over the net"))]
    pub(crate) fn no_proxy(&self) -> &str {
        &self.proxy.no
    }

    /// All checked values.
    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// The code that the host plugged in.
    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Whether free functions outside of any scope may use this agent.
    pub(crate) fn is_process_default(&self) -> bool {
        self.is_process_default
    }

    /// Of an agent that does nothing.
    pub(crate) fn disabled() -> Self {
        Self {
            settings: Settings::default(),
            limits: Arc::new(Limits::default()),
            hooks: Hooks::default(),
            warnings: Vec::new(),
            is_process_default: false,
            proxy: env::Proxy::default(),
        }
    }
}

macro_rules! getters {
    ($(
        $(#[doc = $doc:literal])+ $(#[serde($serde:ident)])?
        $key:ident => $name:ident: $kind:ident $spec:tt, $change:ident;
    )+) => {
        impl Config {
            $(
                $(#[doc = $doc])+
                #[doc = key_doc!($key $kind $spec $change)]
                pub fn $name(&self) -> lent!($kind) {
                    self.limits.$name.lend()
                }
            )+
        }
    };
}

with_keys!(getters);

/// How a getter gives a value: small ones by value, others by reference.
trait Lend {
    type Lent<'a>
    where
        Self: 'a;
    fn lend(&self) -> Self::Lent<'_>;
}

macro_rules! lend {
    ($($owned:ty => $lent:ty, $how:expr;)+) => {$(
        impl Lend for $owned {
            type Lent<'a> = $lent;
            fn lend(&self) -> Self::Lent<'_> {
                $how(self)
            }
        }
    )+};
}

lend! {
    bool => bool, Clone::clone;
    f64 => f64, Clone::clone;
    u32 => u32, Clone::clone;
    u64 => u64, Clone::clone;
    usize => usize, Clone::clone;
    Duration => Duration, Clone::clone;
    CpuSignal => CpuSignal, Clone::clone;
    NativeCapture => NativeCapture, Clone::clone;
    Compression => Compression, Clone::clone;
    String => &'a str, String::as_str;
    std::path::PathBuf => &'a Path, std::path::PathBuf::as_path;
    ServerAddress => &'a ServerAddress, std::convert::identity;
    Secret => &'a Secret, std::convert::identity;
    Vec<String> => &'a [String], Vec::as_slice;
}

impl<T: Lend> Lend for Option<T> {
    type Lent<'a>
        = Option<T::Lent<'a>>
    where
        T: 'a;
    fn lend(&self) -> Self::Lent<'_> {
        self.as_ref().map(T::lend)
    }
}
