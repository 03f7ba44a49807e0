//! What the safe language cannot reach: the only folder with unsafe code, behind safe functions.

pub(crate) mod fork;
pub(crate) mod sampler;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) mod ticks;
