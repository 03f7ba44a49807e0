//! What the configuration makes of native capture, and what the agent says about it.

#[cfg(native_capture)]
mod active;

#[cfg(native_capture)]
pub(super) use active::{Native, diagnose};

#[cfg(not(native_capture))]
pub(super) use absent::{Native, diagnose};

/// Builds without native capture.
#[cfg(not(native_capture))]
mod absent {
    use crate::config::Config;
    use crate::model::config::NativeCapture as Mode;
    use crate::model::native_stats::NativeStats;

    const STATUS: &str = "off: this build has none (it needs Linux on x86_64 or aarch64, and the feature `native`); \
                          polls, frames and spans are recorded";

    /// Nothing.
    #[derive(Clone)]
    pub(in crate::agent) struct Native;

    impl Native {
        pub(in crate::agent) fn stats(&self) -> NativeStats {
            NativeStats { status: STATUS.to_owned(), ..NativeStats::default() }
        }
    }

    /// Says so where it was asked for.
    pub(in crate::agent) fn diagnose(config: &Config, _: &Native) {
        if config.native_capture() == Mode::On {
            tracing::warn!(target: "flame_on", "native capture is {STATUS}");
        }
    }
}
