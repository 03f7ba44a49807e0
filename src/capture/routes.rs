//! Correlation of calls with traces by label: what the SeqTraceRouter works on.
//!
//! The map outlives a restart of the actor, and entering or leaving it takes no message.

use std::sync::Arc;

use dashmap::DashMap;

use super::inbox::Inbox;
use super::trace::SharedTrace;

/// Messages that wait for the router at most, over all traces: 16,384 x 56 bytes, below 1 MiB.
const MAX_WAITING: usize = 16_384;

/// One half of an explicit call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallStep {
    /// The target took the message (or, where that cannot be seen, it was sent): the frame's whole text.
    Receive(Arc<str>),
    /// The reply came.
    Send,
}

/// What is delivered to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallMessage {
    /// Which call of the trace.
    pub(crate) call: u32,
    pub(crate) step: CallStep,
    pub(crate) raw: u64,
}

/// A message with the label of the trace that it belongs to.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) label: u64,
    pub(crate) message: CallMessage,
}

/// The map from label to trace, and the messages on their way to it.
#[derive(Debug)]
pub(crate) struct Routes {
    by_label: DashMap<u64, Arc<SharedTrace>>,
    pub(crate) inbox: Arc<Inbox<Routed>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self { by_label: DashMap::new(), inbox: Inbox::new(MAX_WAITING) }
    }
}

impl Routes {
    /// Makes `trace` reachable under its label. Only for [`SharedTrace::register_route`], which its end looks out for.
    pub(crate) fn register(&self, trace: Arc<SharedTrace>) {
        self.by_label.insert(trace.label, trace);
    }

    /// Forgets a label; later messages for it are dropped and counted.
    pub(crate) fn unregister(&self, label: u64) {
        self.by_label.remove(&label);
    }

    /// Sends `message` on its way; false when the queue is full.
    pub(crate) fn route(&self, label: u64, message: CallMessage) -> bool {
        self.inbox.push(Routed { label, message }).is_ok()
    }

    /// Delivers one message; false when the label is unknown or its trace has too many waiting.
    pub(crate) fn deliver(&self, routed: Routed) -> bool {
        self.by_label.get(&routed.label).is_some_and(|trace| trace.deliver(routed.message))
    }

    /// Labels in use now.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_label.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(call: u32) -> Routed {
        Routed { label: 7, message: CallMessage { call, step: CallStep::Send, raw: 1 } }
    }

    #[test]
    fn a_message_for_an_unknown_label_is_refused() {
        let routes = Routes::default();
        assert!(!routes.deliver(message(0)));
        assert_eq!(routes.len(), 0);
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_what_it_has_in_order() {
        let routes = Routes::default();
        let taken = (0..).take_while(|call| routes.route(7, message(*call).message)).count();
        assert_eq!(taken, MAX_WAITING);
        let calls: Vec<_> = routes.inbox.drain().map(|routed| routed.message.call).collect();
        assert!(calls.iter().copied().eq(0..u32::try_from(MAX_WAITING).unwrap_or(0)));
        assert!(routes.route(7, message(0).message));
    }
}
