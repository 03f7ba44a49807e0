//! Unwound samples that wait for the end of their trace.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::stack::StackWord;

/// Bytes of samples at most: five busy threads for about ten seconds. Past it new ones are dropped.
const MAX_BYTES: usize = 16 << 20;
/// What a sample takes beside its frames: its time, a fat pointer, its part of the list and of the map.
const SAMPLE_BYTES: usize = 48;

/// A sample: when it was taken (raw), and its frames, innermost first.
pub(crate) type UnwoundSample = (u64, Box<[StackWord]>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SampleStore(Mutex<Samples>);

#[derive(Debug, Default)]
struct Samples {
    by_label: HashMap<u64, Of>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Of {
    samples: Vec<UnwoundSample>,
    bytes: usize,
    latest: u64,
}

impl SampleStore {
    /// Keeps a sample of the trace `label`.
    pub(super) fn add(&self, label: u64, raw: u64, frames: &[StackWord]) {
        let bytes = size_of_val(frames) + SAMPLE_BYTES;
        let mut store = self.lock();
        if store.bytes + bytes > MAX_BYTES {
            store.dropped += 1;
            return;
        }
        store.bytes += bytes;
        let of = store.by_label.entry(label).or_default();
        of.samples.push((raw, frames.into()));
        of.bytes += bytes;
        of.latest = of.latest.max(raw);
    }

    /// Gives the samples of the trace `label` away.
    pub(super) fn take(&self, label: u64) -> Vec<UnwoundSample> {
        let mut store = self.lock();
        let Some(of) = store.by_label.remove(&label) else { return Vec::new() };
        store.bytes -= of.bytes;
        of.samples
    }

    /// Drops the samples of traces that had none since the raw time `since`: they have ended in another way.
    pub(super) fn forget_before(&self, since: u64) {
        let mut store = self.lock();
        let Samples { by_label, bytes, .. } = &mut *store;
        by_label.retain(|_, of| {
            let is_kept = of.latest >= since;
            *bytes -= if is_kept { 0 } else { of.bytes };
            is_kept
        });
    }

    /// How many bytes it holds, and how many samples found no room so far.
    pub(super) fn bytes_and_dropped(&self) -> (usize, u64) {
        let store = self.lock();
        (store.bytes, store.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_once_and_those_of_traces_that_are_gone_are_forgotten() {
        let store = SampleStore::default();
        store.add(1, 10, &[StackWord(1)]);
        store.add(1, 20, &[StackWord(2)]);
        store.add(2, 30, &[StackWord(3)]);
        assert_eq!(store.take(1), [(10, [StackWord(1)].into()), (20, [StackWord(2)].into())]);
        assert_eq!(store.take(1), []);
        store.forget_before(31);
        assert_eq!(store.take(2), []);
        assert_eq!(store.bytes_and_dropped(), (0, 0));
    }

    #[test]
    fn past_the_bound_new_ones_are_dropped_and_counted() {
        let store = SampleStore::default();
        let frames = vec![StackWord(0); 1 << 16];
        (0..100).for_each(|number| store.add(number, 0, &frames));
        let (bytes, dropped) = store.bytes_and_dropped();
        assert!(bytes <= MAX_BYTES && dropped > 0 && dropped < 100, "{bytes} {dropped}");
    }
}
