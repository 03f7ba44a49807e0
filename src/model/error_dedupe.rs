//! Which errors of one context are duplicates: at most one of a kind in each window of time.

use super::time::Nanos;

/// Kinds that are remembered. A context with more of them within one window forgets the oldest, whose next error is
/// sent again: 16 bytes each, so that a context stays small.
const MAX_KINDS: usize = 64;

/// The kind of an error, as a hash: of message, route, severity, handled, trace id, exception type and value, and the
/// place of the top frame. Two kinds with one hash are one in 2^64 pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorKind(pub(crate) u64);

/// The kinds that were sent within the window, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ErrorDedupe(Vec<(ErrorKind, Nanos)>);

impl ErrorDedupe {
    /// A memory of nothing; allocates with the first error.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether an error of this kind was sent less than `window` before `now`; else it counts as sent now. A window
    /// of zero: never. The window runs from the error that was sent, so a steady stream of duplicates is sent once
    /// a window.
    pub(crate) fn is_duplicate(&mut self, kind: ErrorKind, now: Nanos, window: Nanos) -> bool {
        if window == Nanos::ZERO {
            return false;
        }
        // Asked first: in a loop over one error there is nothing else to do.
        if self.0.iter().any(|(known, at)| *known == kind && is_within(*at, now, window)) {
            return true;
        }
        self.0.retain(|(known, at)| *known != kind && is_within(*at, now, window));
        if self.0.len() >= MAX_KINDS {
            self.0.remove(0);
        }
        self.0.push((kind, now));
        false
    }
}

fn is_within(at: Nanos, now: Nanos, window: Nanos) -> bool {
    now.0.saturating_sub(at.0) < window.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Nanos = Nanos(100);

    #[test]
    fn the_window_runs_from_what_was_sent_and_is_open_at_its_end() {
        let mut dedupe = ErrorDedupe::new();
        let sent: Vec<u64> =
            (0..250).step_by(10).filter(|at| !dedupe.is_duplicate(ErrorKind(1), Nanos(*at), WINDOW)).collect();
        assert_eq!(sent, [0, 100, 200]);
    }

    #[test]
    fn a_million_duplicates_take_no_memory() {
        let mut dedupe = ErrorDedupe::new();
        let sent = (0..1_000_000).filter(|_| !dedupe.is_duplicate(ErrorKind(1), Nanos(5), WINDOW)).count();
        assert_eq!((sent, dedupe.0.len()), (1, 1));
    }

    #[test]
    fn many_kinds_forget_the_oldest() {
        let mut dedupe = ErrorDedupe::new();
        for kind in 0..1_000 {
            assert!(!dedupe.is_duplicate(ErrorKind(kind), Nanos(kind % 3), WINDOW));
        }
        assert_eq!(dedupe.0.len(), MAX_KINDS);
        assert!(dedupe.is_duplicate(ErrorKind(999), Nanos(9), WINDOW));
        assert!(!dedupe.is_duplicate(ErrorKind(0), Nanos(9), WINDOW));
    }

    #[test]
    fn a_window_of_zero_lets_all_through() {
        let mut dedupe = ErrorDedupe::new();
        assert!((0..3).all(|_| !dedupe.is_duplicate(ErrorKind(1), Nanos(0), Nanos::ZERO)));
    }
}
