//! Unwound samples that wait for the end of their trace.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::model::stack::StackWord;
use crate::safety::budget::{CaptureBudget, Reservation};
use crate::safety::lock::lock;

/// Bytes of samples at most, and no more than is left of `max_capture_bytes`: five busy threads for about ten seconds.
/// Past it new ones are dropped.
const MAX_BYTES: usize = 16 << 20;
/// What a sample takes beside its frames: its time, a fat pointer, its part of the list and of the map.
const SAMPLE_BYTES: usize = 48;

/// A sample: when it was taken (raw), and its frames, innermost first.
pub(crate) type UnwoundSample = (u64, Box<[StackWord]>);

/// See the module.
#[derive(Debug)]
pub(super) struct SampleStore(Mutex<Samples>);

#[derive(Debug)]
struct Samples {
    by_label: HashMap<u64, Of>,
    bytes: usize,
    /// As many; `None` where not even nothing could be reserved.
    memory: Option<Reservation>,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Of {
    samples: Vec<UnwoundSample>,
    bytes: usize,
    latest: u64,
}

impl SampleStore {
    pub(super) fn new(budget: &CaptureBudget) -> Self {
        let memory = budget.try_reserve(0);
        Self(Mutex::new(Samples { by_label: HashMap::new(), bytes: 0, memory, dropped: 0 }))
    }

    /// Keeps a sample of the trace `label`.
    pub(super) fn add(&self, label: u64, raw: u64, frames: &[StackWord]) {
        let bytes = size_of_val(frames) + SAMPLE_BYTES;
        let mut store = lock(&self.0);
        if !store.hold(bytes) {
            store.dropped += 1;
            return;
        }
        let of = store.by_label.entry(label).or_default();
        of.samples.push((raw, frames.into()));
        of.bytes += bytes;
        of.latest = of.latest.max(raw);
    }

    /// Gives the samples of the trace `label` away.
    pub(super) fn take(&self, label: u64) -> Vec<UnwoundSample> {
        let mut store = lock(&self.0);
        let Some(of) = store.by_label.remove(&label) else { return Vec::new() };
        store.let_go(of.bytes);
        of.samples
    }

    /// Drops the samples of the traces `labels`.
    pub(super) fn forget(&self, labels: &[u64]) {
        if labels.is_empty() {
            return;
        }
        let mut store = lock(&self.0);
        for label in labels {
            if let Some(of) = store.by_label.remove(label) {
                store.let_go(of.bytes);
            }
        }
    }

    /// Drops the samples of traces that had none since the raw time `since`: they have ended in another way.
    pub(super) fn forget_before(&self, since: u64) {
        let mut store = lock(&self.0);
        let mut freed = 0;
        store.by_label.retain(|_, of| {
            let is_kept = of.latest >= since;
            freed += if is_kept { 0 } else { of.bytes };
            is_kept
        });
        store.let_go(freed);
    }

    /// How many bytes it holds, and how many samples found no room so far.
    pub(super) fn bytes_and_dropped(&self) -> (usize, u64) {
        let store = lock(&self.0);
        (store.bytes, store.dropped)
    }
}

impl Samples {
    /// Whether `bytes` more find room; they are held then.
    fn hold(&mut self, bytes: usize) -> bool {
        let is_held =
            self.bytes + bytes <= MAX_BYTES && self.memory.as_mut().is_some_and(|memory| memory.grow(bytes as u64));
        self.bytes += if is_held { bytes } else { 0 };
        is_held
    }

    fn let_go(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(memory) = &mut self.memory {
            memory.shrink(bytes as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_once_and_those_of_traces_that_are_gone_are_forgotten() {
        let budget = CaptureBudget::new(1 << 20);
        let store = SampleStore::new(&budget);
        store.add(1, 10, &[StackWord(1)]);
        store.add(1, 20, &[StackWord(2)]);
        store.add(2, 30, &[StackWord(3)]);
        assert_eq!(store.take(1), [(10, [StackWord(1)].into()), (20, [StackWord(2)].into())]);
        assert_eq!(store.take(1), []);
        store.add(1, 25, &[StackWord(1)]);
        store.forget(&[1, 7]);
        assert_eq!(store.take(1), []);
        store.forget_before(31);
        assert_eq!(store.take(2), []);
        assert_eq!((store.bytes_and_dropped(), budget.used()), ((0, 0), 0));
    }

    #[test]
    fn past_the_bound_new_ones_are_dropped_and_counted() {
        let store = SampleStore::new(&CaptureBudget::new(1 << 30));
        let frames = vec![StackWord(0); 1 << 16];
        (0..100).for_each(|number| store.add(number, 0, &frames));
        let (bytes, dropped) = store.bytes_and_dropped();
        assert!(bytes <= MAX_BYTES && dropped > 0 && dropped < 100, "{bytes} {dropped}");
    }

    #[test]
    fn they_count_against_what_all_captures_may_hold() {
        let budget = CaptureBudget::new(1_000);
        let store = SampleStore::new(&budget);
        (0..100).for_each(|number| store.add(number, 0, &[StackWord(0); 4]));
        let (bytes, dropped) = store.bytes_and_dropped();
        assert_eq!((bytes as u64, bytes / 80 + dropped as usize), (budget.used(), 100));
        assert!(budget.used() <= 1_000 && dropped > 0);
    }
}
