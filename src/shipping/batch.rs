//! What the shipping of traces and of error events has in common: the items, and the batches they leave in.

use std::fmt::Debug;

use super::outbox::Weighted;

/// Something that is shipped. Clones share it.
pub(crate) trait Item: Weighted + Clone + Debug + Send + Sync + 'static {
    /// Called when the item will not reach its destination.
    fn give_up(&self) {}

    /// Whether the host has dropped it while it was made ready to be shipped.
    fn is_dropped_by_host(&self) -> bool {
        false
    }

    /// Whether detail was left out so that it fits into a message.
    fn is_thinned_to_fit(&self) -> bool {
        false
    }

    /// The item as bytes that another process, of this or a later version, can read.
    fn to_spool(&self) -> Vec<u8>;

    /// Reads [`Item::to_spool`]'s bytes; `None` when they are no such bytes.
    fn from_spool(bytes: &[u8]) -> Option<Self>;
}

/// Items that are shipped together. Clones share them.
pub(crate) trait Batch: Clone + Debug + Send + Sync + 'static {
    /// What is shipped.
    type Item: Item;

    /// What the items are called in the log and on disk, in the plural and in lower case.
    const NAME: &'static str;

    /// Makes a batch.
    fn new(items: Vec<Self::Item>) -> Self;

    /// What is in it.
    fn items(&self) -> &[Self::Item];

    /// The encoded bytes that the adapter took of it.
    fn encoded_bytes(&self) -> u64;
}
