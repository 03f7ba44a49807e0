//! The circuit breaker: while it is open no new trace begins.

use std::sync::atomic::{AtomicU8, Ordering};

/// Who holds the breaker open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BreakerCause {
    /// The process uses more memory than `max_memory_bytes`.
    Memory = 1 << 0,
    /// The agent's own threads use too much CPU.
    Cpu = 1 << 1,
}

impl BreakerCause {
    const ALL: [Self; 2] = [Self::Memory, Self::Cpu];
}

/// Closed while no cause holds it open. Starts closed; share it behind an `Arc`.
///
/// ```text
///            open(cause)                    open(other)
///   closed ──────────────► open by {cause} ◄──────────► open by {cause, other}
///          ◄──────────────                  close(other)
///            close(cause)
/// ```
#[derive(Debug, Default)]
pub(crate) struct Breaker(AtomicU8);

impl Breaker {
    /// Whether new traces are stopped: one relaxed load. A trace that is admitted while the breaker opens goes on.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether `cause` is among those that hold it open.
    pub(crate) fn is_open_by(&self, cause: BreakerCause) -> bool {
        self.0.load(Ordering::Relaxed) & cause as u8 != 0
    }

    /// All that hold it open now; none when it is closed.
    pub(crate) fn causes(&self) -> impl Iterator<Item = BreakerCause> {
        let bits = self.0.load(Ordering::Relaxed);
        BreakerCause::ALL.into_iter().filter(move |&cause| bits & cause as u8 != 0)
    }

    /// Opens it for `cause`; true when this cause did not hold it open before.
    pub(crate) fn open(&self, cause: BreakerCause) -> bool {
        // Relaxed, here and below: the bits order nothing else.
        self.0.fetch_or(cause as u8, Ordering::Relaxed) & cause as u8 == 0
    }

    /// Takes `cause` back; true when it held the breaker open before. Other causes keep it open.
    pub(crate) fn close(&self, cause: BreakerCause) -> bool {
        self.0.fetch_and(!(cause as u8), Ordering::Relaxed) & cause as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_closed_and_each_change_is_reported_once() {
        let breaker = Breaker::default();
        assert!(!breaker.is_open());
        assert!(breaker.open(BreakerCause::Memory));
        assert!(!breaker.open(BreakerCause::Memory));
        assert!(breaker.is_open());
        assert!(breaker.close(BreakerCause::Memory));
        assert!(!breaker.close(BreakerCause::Memory));
        assert!(!breaker.is_open());
    }

    #[test]
    fn it_stays_open_until_the_last_cause_is_gone() {
        let breaker = Breaker::default();
        breaker.open(BreakerCause::Cpu);
        breaker.open(BreakerCause::Memory);
        assert_eq!(breaker.causes().collect::<Vec<_>>(), [BreakerCause::Memory, BreakerCause::Cpu]);
        breaker.close(BreakerCause::Cpu);
        assert!(breaker.is_open() && breaker.is_open_by(BreakerCause::Memory));
        assert!(!breaker.is_open_by(BreakerCause::Cpu));
        breaker.close(BreakerCause::Memory);
        assert_eq!(breaker.causes().count(), 0);
    }

    #[test]
    fn threads_that_hold_it_for_different_causes_do_not_undo_each_other() {
        let breaker = Breaker::default();
        std::thread::scope(|scope| {
            for cause in BreakerCause::ALL {
                let breaker = &breaker;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        assert!(breaker.open(cause));
                        assert!(breaker.is_open());
                        assert!(breaker.close(cause));
                    }
                });
            }
        });
        assert!(!breaker.is_open());
    }
}
