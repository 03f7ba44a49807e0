//! What the configuration makes of native capture.

use std::sync::Arc;

use crate::capture::native::capture::NativeCapture;
use crate::config::Config;
use crate::model::config::NativeCapture as Mode;

/// `None` when it is off, or nothing is captured at all.
pub(super) fn start(config: &Config) -> Option<Arc<NativeCapture>> {
    let is_on = config.capture() && config.native_capture() != Mode::Off;
    is_on.then(NativeCapture::start)
}
