//! Admitted traces that the agent has not taken up: it never hears of those that their host threads discard.
//!
//! ```text
//! admission ─► keep ──discarded: taken out again by its host thread
//!                   └──signals, or is still here at the Collector's sweep ─► taken up
//! ```
//! A host thread never waits here: a slot that another thread holds is passed over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::trace::SharedTrace;
use crate::safety::lock::lock;

/// Traces kept at most: more than begin and end within a moment on one machine's threads; 16 bytes each.
const SLOTS: usize = 256;
/// Slots looked at for a free one; past them the Collector is told of the trace at once.
const PROBES: u64 = 4;
/// Neighbouring labels go to slots so far apart: threads that begin traces in turns do not share cache lines.
const STRIDE: u64 = 65;

type Slot = Mutex<Option<Arc<SharedTrace>>>;

/// Where a trace is kept, as a byte; meaningless for one that is not.
pub(crate) type SlotNumber = u8;

/// See the module.
#[derive(Debug)]
pub(crate) struct FreshTraces {
    slots: Box<[Slot; SLOTS]>,
    closed: AtomicBool,
}

impl Default for FreshTraces {
    fn default() -> Self {
        Self { slots: Box::new([const { Mutex::new(None) }; SLOTS]), closed: AtomicBool::new(false) }
    }
}

impl FreshTraces {
    /// Keeps `trace` until somebody takes it; gives it back when there is no room, or nobody looks any more.
    pub(crate) fn keep(&self, trace: Arc<SharedTrace>) -> Result<(), Arc<SharedTrace>> {
        let Some((number, mut slot)) = self.free_slot(trace.label) else { return Err(trace) };
        // Looked at with the slot held: `close` takes each after it has set the flag, so either it finds the trace or
        // this finds the flag.
        if self.closed.load(Ordering::Relaxed) {
            return Err(trace);
        }
        trace.set_fresh_slot(number);
        *slot = Some(trace);
        Ok(())
    }

    fn free_slot(&self, label: u64) -> Option<(SlotNumber, MutexGuard<'_, Option<Arc<SharedTrace>>>)> {
        (0..PROBES).find_map(|probe| {
            #[expect(clippy::cast_possible_truncation, reason = "one of 256 slots")]
            let number = label.wrapping_mul(STRIDE).wrapping_add(probe) as SlotNumber;
            // `Err`: another thread is at it, or (never) panicked there.
            let slot = self.slots.get(usize::from(number))?.try_lock().ok()?;
            slot.is_none().then_some((number, slot))
        })
    }

    /// Takes `trace` out. If another thread is at its slot at this moment it stays, for the next [`take_all`].
    ///
    /// [`take_all`]: Self::take_all
    pub(crate) fn remove(&self, trace: &SharedTrace) {
        let Some(slot) = self.slots.get(usize::from(trace.fresh_slot())) else { return };
        let Ok(mut kept) = slot.try_lock() else { return };
        let is_it = kept.as_deref().is_some_and(|kept| std::ptr::eq(kept, trace));
        let removed = is_it.then(|| kept.take());
        drop(kept);
        drop(removed);
    }

    /// Takes out all that are kept. Not for a host thread: it may wait for one.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = Arc<SharedTrace>> + '_ {
        self.slots.iter().filter_map(|slot| lock(slot).take())
    }

    /// Takes nothing from now on, and gives out what is kept.
    pub(crate) fn close(&self) -> Vec<Arc<SharedTrace>> {
        self.closed.store(true, Ordering::Relaxed);
        self.take_all().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::capture::admission;
    use crate::capture::scope::Scope;
    use crate::capture::tests::rig::{Rig, limits};
    use crate::model::config::Limits;
    use crate::model::counters::Count;

    fn admit(rig: &Rig) -> Scope {
        admission::unit(&rig.core, "unit", || "test")
    }

    fn many() -> Rig {
        Rig::with(Limits { max_active_traces: 10_000, ..limits() })
    }

    #[test]
    fn a_discarded_trace_is_gone_at_once_and_nobody_is_told() {
        let rig = many();
        let scope = admit(&rig);
        let trace = Arc::downgrade(scope.shared().unwrap());
        scope.finish();
        assert!(trace.upgrade().is_none());
        assert!(rig.core.inbox.is_empty());
    }

    #[test]
    fn what_finds_no_slot_is_told_at_once_and_none_is_kept_twice() {
        let rig = many();
        let scopes: Vec<_> = (0..2 * SLOTS).map(|_| admit(&rig)).collect();
        let mut labels: Vec<_> = rig.core.inbox.drain().map(|item| item.into_trace().label).collect();
        assert!((SLOTS..SLOTS + SLOTS / 4).contains(&labels.len()), "{} were told", labels.len());
        labels.extend(rig.core.fresh.take_all().map(|trace| trace.label));
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), scopes.len());
        assert_eq!(rig.core.fresh.take_all().count(), 0);
    }

    #[test]
    fn a_closed_one_gives_everything_back_and_keeps_nothing() {
        let rig = many();
        let scope = admit(&rig);
        let kept = rig.core.fresh.close();
        assert!(Arc::ptr_eq(&kept[0], scope.shared().unwrap()));
        assert!(rig.core.fresh.keep(kept[0].clone()).is_err());
    }

    #[test]
    fn each_trace_is_settled_once_however_its_thread_and_the_agent_meet() {
        const EACH: usize = if cfg!(miri) { 20 } else { 5_000 };
        let rig = many();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let agent = scope.spawn(|| {
                let mut taken = 0;
                while !is_over.load(Ordering::Relaxed) {
                    for trace in rig.core.fresh.take_all() {
                        if trace.take_up() {
                            taken += 1;
                            trace.settle(Count::BelowThreshold);
                            trace.close();
                        }
                    }
                }
                taken
            });
            let hosts = [(); 4].map(|()| scope.spawn(|| (0..EACH).for_each(|_| admit(&rig).finish())));
            hosts.into_iter().for_each(|host| host.join().unwrap());
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(agent.join().unwrap(), rig.count(Count::BelowThreshold));
        });
        // One that was passed over is still there, settled.
        rig.core.fresh.take_all().chain(rig.core.inbox.drain().map(|item| item.into_trace())).for_each(drop);
        assert_eq!(rig.count(Count::Started), 4 * EACH as u64);
        assert_eq!(rig.count(Count::NeverRun) + rig.count(Count::BelowThreshold), 4 * EACH as u64);
        assert_eq!((rig.core.permits.active(), rig.count(Count::InboxFull)), (0, 0));
    }
}
