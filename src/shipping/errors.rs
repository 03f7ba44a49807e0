//! Error events on their way out: as they are queued, and as adapters see them.
//!
//! ```text
//! QueuedError (redacted; frames without names) ─► Finishing: finished once, in the blocking pool ─► ErrorBatch ─► adapter
//! ```

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::adapter::{BoxedAdapter, ShipContext, ShipperAdapter};
use super::batch::{Batch, Item};
use super::outbox::Weighted;
use super::ship_error::{Part, ShipError};
use crate::encode::errors::{decode, encode};
use crate::model::error_event::ErrorEvent;

/// What an unwound backtrace takes: some forty frames of about 200 bytes.
const BACKTRACE_BYTES: usize = 8 * 1024;

/// Error events that are shipped together. Clones share them.
#[derive(Debug, Clone)]
pub struct ErrorBatch(Arc<[ErrorEvent]>);

impl ErrorBatch {
    pub(crate) fn new(events: Vec<ErrorEvent>) -> Self {
        Self(events.into())
    }

    /// The events, in the order in which they were captured; never empty, at most `max_error_batch_size`.
    pub fn events(&self) -> &[ErrorEvent] {
        &self.0
    }
}

/// An event in the outbox. Clones share it.
#[derive(Clone)]
pub(crate) struct QueuedError(Arc<Data>);

struct Data {
    event: ErrorEvent,
    backtrace: Option<Backtrace>,
    /// What is shipped; `None` in it when the host has dropped the event.
    finished: OnceLock<Option<ErrorEvent>>,
}

impl QueuedError {
    /// A redacted event, with the backtrace of its first exception.
    pub(crate) fn new(event: ErrorEvent, backtrace: Option<Backtrace>) -> Self {
        Self(Arc::new(Data { event, backtrace, finished: OnceLock::new() }))
    }

    fn finished(&self, finish: &Finish) -> Option<&ErrorEvent> {
        let Data { event, backtrace, finished } = &*self.0;
        finished.get_or_init(|| finish(event, backtrace.as_ref())).as_ref()
    }
}

/// What a spooled event begins with: whether it is finished, so that the host is asked once.
const RAW: u8 = 0;
const FINISHED: u8 = 1;

impl Item for QueuedError {
    fn is_dropped_by_host(&self) -> bool {
        matches!(self.0.finished.get(), Some(None))
    }

    /// Without the backtrace where it is not resolved yet: its addresses mean nothing to another process.
    fn to_spool(&self) -> Vec<u8> {
        let (mark, event) = match self.0.finished.get() {
            Some(Some(finished)) => (FINISHED, finished),
            // One that was dropped is read as nothing.
            Some(None) => return Vec::new(),
            None => (RAW, &self.0.event),
        };
        [vec![mark], encode(event)].concat()
    }

    fn from_spool(bytes: &[u8]) -> Option<Self> {
        let (mark, encoded) = bytes.split_first()?;
        let event = decode(encoded)?;
        let finished = OnceLock::new();
        if *mark == FINISHED {
            // `Err` cannot be: it is empty.
            finished.set(Some(event.clone())).ok();
        }
        Some(Self(Arc::new(Data { event, backtrace: None, finished })))
    }
}

impl Weighted for QueuedError {
    fn weight_bytes(&self) -> usize {
        self.0.event.weight_bytes() + self.0.backtrace.as_ref().map_or(0, |_| BACKTRACE_BYTES)
    }
}

impl fmt::Debug for QueuedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedError").field("event_id", &self.0.event.event_id).finish_non_exhaustive()
    }
}

/// Queued events that are shipped together.
#[derive(Debug, Clone)]
pub(crate) struct QueuedErrors(Arc<[QueuedError]>);

impl Batch for QueuedErrors {
    type Item = QueuedError;

    const NAME: &'static str = "error events";

    fn new(items: Vec<QueuedError>) -> Self {
        Self(items.into())
    }

    fn items(&self) -> &[QueuedError] {
        &self.0
    }

    fn encoded_bytes(&self) -> u64 {
        let shipped = self.0.iter().filter_map(|queued| queued.0.finished.get()?.as_ref());
        shipped.map(|event| encode(event).len() as u64).sum()
    }
}

/// Resolves an event's backtrace and asks the host; `None` when it dropped the event.
pub(crate) type Finish = Arc<dyn Fn(&ErrorEvent, Option<&Backtrace>) -> Option<ErrorEvent> + Send + Sync>;

/// The adapter in front of the host's: finishes events, on the blocking pool where it runs.
pub(crate) struct Finishing {
    inner: BoxedAdapter<ErrorBatch>,
    finish: Finish,
}

impl Finishing {
    /// Finishes with `finish` what goes to `inner`.
    pub(crate) fn new(inner: BoxedAdapter<ErrorBatch>, finish: Finish) -> Self {
        Self { inner, finish }
    }
}

impl ShipperAdapter<QueuedErrors> for Finishing {
    async fn ship(&self, batch: &QueuedErrors, context: &ShipContext) -> Result<(), ShipError> {
        let events: Vec<_> = batch.0.iter().filter_map(|queued| queued.finished(&self.finish).cloned()).collect();
        if events.is_empty() {
            return Ok(());
        }
        let shipped = self.inner.ship(&ErrorBatch::new(events), context).await;
        shipped.map_err(|error| {
            let settled = with_dropped(error.settled(), batch.items());
            error.after(settled)
        })
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// The parts that were settled, counted in queued events: those that the host has dropped go with the part before
/// which they stand.
fn with_dropped(parts: &[Part], items: &[QueuedError]) -> Vec<Part> {
    let mut rest = items.iter();
    let widened = parts.iter().map(|part| {
        let mut left = part.items;
        let taken = rest.by_ref().take_while(|item| {
            left = left.saturating_sub(usize::from(!item.is_dropped_by_host()));
            left > 0
        });
        // The one that `take_while` stops at is the last of the part.
        Part { items: taken.count() + 1, is_accepted: part.is_accepted }
    });
    widened.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::encode::errors::tests::full;

    #[derive(Clone, Default)]
    struct FailsOnce(Arc<Mutex<Vec<Vec<String>>>>);

    impl ShipperAdapter<ErrorBatch> for FailsOnce {
        async fn ship(&self, batch: &ErrorBatch, _: &ShipContext) -> Result<(), ShipError> {
            let mut seen = self.0.lock().unwrap();
            seen.push(batch.events().iter().map(|event| event.message.clone()).collect());
            if seen.len() == 1 { Err(ShipError::retryable("busy")) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn an_event_is_finished_once_however_often_it_is_tried() {
        let finished = Arc::new(AtomicUsize::new(0));
        let counted = finished.clone();
        let finish: Finish = Arc::new(move |event, _| {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            (number > 0).then(|| ErrorEvent { message: format!("finished {number}"), ..event.clone() })
        });
        let inner = FailsOnce::default();
        let adapter = Finishing::new(BoxedAdapter::new(inner.clone()), finish);
        let batch = QueuedErrors::new((1..=3).map(|number| QueuedError::new(full(number), None)).collect());
        assert!(adapter.ship(&batch, &ShipContext::default()).await.is_err());
        assert!(adapter.ship(&batch, &ShipContext::default()).await.is_ok());
        assert_eq!(*inner.0.lock().unwrap(), vec![vec!["finished 1".to_owned(), "finished 2".to_owned()]; 2]);
        assert_eq!(finished.load(Ordering::Relaxed), 3);
        assert_eq!(batch.items().iter().filter(|queued| queued.is_dropped_by_host()).count(), 1);
    }

    #[test]
    fn settled_parts_are_counted_in_queued_events() {
        let items: Vec<_> = (1..=6).map(|number| QueuedError::new(full(number), None)).collect();
        let finish: Finish = Arc::new(|event, _| (event.event_id != full(2).event_id).then(|| event.clone()));
        items.iter().for_each(|item| drop(item.finished(&finish).cloned()));
        let part = |items, is_accepted| Part { items, is_accepted };
        let settled = with_dropped(&[part(2, true), part(1, false)], &items);
        assert_eq!(
            settled.iter().map(|part| (part.items, part.is_accepted)).collect::<Vec<_>>(),
            [(3, true), (1, false)]
        );
    }

    #[tokio::test]
    async fn an_event_from_the_spool_is_as_it_was_and_finished_once() {
        let raw = QueuedError::new(full(1), None);
        let read = QueuedError::from_spool(&raw.to_spool()).unwrap();
        let finish: Finish = Arc::new(|event, _| Some(ErrorEvent { message: "finished".into(), ..event.clone() }));
        assert_eq!(read.finished(&finish).unwrap().message, "finished");
        let again = QueuedError::from_spool(&read.to_spool()).unwrap();
        let never: Finish = Arc::new(|_, _| None);
        assert_eq!(again.finished(&never).unwrap().message, "finished");
        raw.finished(&never);
        assert!(raw.is_dropped_by_host() && QueuedError::from_spool(&raw.to_spool()).is_none());
    }

    #[tokio::test]
    async fn a_batch_that_the_host_has_dropped_is_not_shipped() {
        let inner = FailsOnce::default();
        let adapter = Finishing::new(BoxedAdapter::new(inner.clone()), Arc::new(|_, _| None));
        let batch = QueuedErrors::new(vec![QueuedError::new(full(1), None)]);
        assert!(adapter.ship(&batch, &ShipContext::default()).await.is_ok());
        assert!(inner.0.lock().unwrap().is_empty());
    }
}
