//! The agent's thread for native capture: empties the rings of the sampler, unwinds, and reads the modules anew when
//! something was loaded.
//!
//! ```text
//! awake   a look every 20 ticks of a thread while there are samples, every 30 while traced polls run without any, and
//!         every 100 ms at the least
//! asleep  after a second with neither; the next traced poll wakes it
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::bell::Bell;
use super::capture::NativeCapture;

/// Starts the thread; it ends by itself when nobody has `capture` any more, or at [`Bell::end`].
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(capture: &Arc<NativeCapture>, on_start: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let (capture, bell) = (Arc::downgrade(capture), capture.bell.clone());
    let started = bell.clone();
    let thread = std::thread::Builder::new().name("flame-on-native".into()).spawn(move || {
        on_start();
        if let Some(capture) = capture.upgrade() {
            capture.fit_rate();
        }
        work(&capture, &bell);
    })?;
    started.set_thread(thread.thread().clone());
    Ok(())
}

fn work(capture: &Weak<NativeCapture>, bell: &Bell) {
    let mut idle = Duration::ZERO;
    while !bell.is_over() {
        let Some(alive) = capture.upgrade() else { return };
        // A panic's payload is leaked: its drop could panic again.
        let looked = catch_unwind(AssertUnwindSafe(|| alive.look())).map_err(std::mem::forget);
        let period = alive.tick_period();
        drop(alive);
        bell.rest(looked.unwrap_or(false), period, &mut idle);
    }
}
