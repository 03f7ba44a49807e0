//! Whether a trace is open for its recorder and for call messages.

use crate::safety::atomic::{AtomicBool, Ordering};

/// See the module.
#[derive(Debug)]
pub(crate) struct Open {
    /// The recorder must not write any more: the session is over, whatever ended it.
    closed: AtomicBool,
    /// The trace's label leads to it, or is about to.
    is_routed: AtomicBool,
}

impl Open {
    pub(crate) fn new() -> Self {
        Self { closed: AtomicBool::new(false), is_routed: AtomicBool::new(false) }
    }

    /// Makes a route by `register`; false when it is to be taken away again.
    pub(crate) fn route(&self, register: impl FnOnce()) -> bool {
        self.is_routed.store(true, Ordering::SeqCst);
        register();
        // Looked at afterwards: whoever closes does so before it looks for a route and takes it away. SeqCst orders the two
        // flags, and one lock the two changes of the map, so either it finds the route or this finds it closed.
        !self.closed.load(Ordering::SeqCst)
    }

    /// Closes it; whether there is a route to be taken away, or there may be.
    pub(crate) fn close(&self) -> bool {
        // See `route`.
        self.closed.store(true, Ordering::SeqCst);
        self.is_routed.load(Ordering::SeqCst)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: a late look costs events that nobody reads.
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn is_routed(&self) -> bool {
        self.is_routed.load(Ordering::Relaxed)
    }
}
