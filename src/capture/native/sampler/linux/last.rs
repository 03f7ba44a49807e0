//! The last agent's end.

use super::{force, pool};

/// Nothing is armed any more, and every timer is deleted of which nothing may come. Whether that is all of them, so that
/// our handler is not needed any more. `is_late` says when there is no more time to wait.
pub(super) fn leave(is_late: &mut dyn FnMut() -> bool) -> bool {
    force::end();
    // All of them, also after one that could not be waited for.
    let left = pool::slots().filter(|slot| !slot.retire(is_late)).count();
    left == 0 && !force::has_late_ticks()
}
