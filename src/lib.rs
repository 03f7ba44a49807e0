//! FlameOn.
#![allow(dead_code)]

mod config;
mod model;

pub use config::{Config, ConfigBuilder, Reloaded};
pub use model::config::{
    Compression, ConfigError, CpuSignal, NativeCapture, Problem, Secret, ServerAddress, Settings, UnitSettings,
};
