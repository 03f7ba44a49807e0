//! The distinct stacks of one trace.

use std::hash::Hash;
use std::sync::Arc;

use super::frame_hash::IdMap;
use super::stack::StackWord;

/// Numbers a stack of one [`StackTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StackId(pub(crate) u32);

/// Numbers a set of stacks of one [`StackTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SetId(pub(crate) u32);

/// Stacks in one set at most; a task that waits at more distinct places shows what the last ones have in common.
const MAX_SET: usize = 64;
/// What an entry takes beside its elements: two counters, the fat pointer twice, a number and a slot's control byte.
const ENTRY_BYTES: usize = 64;

/// Stacks and sets of stacks, each kept once.
#[derive(Debug, Default)]
pub(crate) struct StackTable {
    /// Frames from the root to the leaf.
    stacks: Interned<StackWord>,
    sets: Interned<StackId>,
}

#[derive(Debug)]
struct Interned<T> {
    by_content: IdMap<Arc<[T]>, u32>,
    by_number: Vec<Arc<[T]>>,
    bytes: usize,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { by_content: IdMap::default(), by_number: Vec::new(), bytes: 0 }
    }
}

impl<T: Hash + Eq + Copy> Interned<T> {
    /// `None` for what is not known yet, when `is_full`.
    fn number(&mut self, content: &[T], is_full: bool) -> Option<u32> {
        if let Some(number) = self.by_content.get(content) {
            return Some(*number);
        }
        let number = u32::try_from(self.by_number.len()).ok().filter(|_| !is_full)?;
        let content: Arc<[T]> = content.into();
        self.bytes += size_of_val(&*content) + ENTRY_BYTES;
        self.by_number.push(content.clone());
        self.by_content.insert(content, number);
        Some(number)
    }

    fn get(&self, number: u32) -> &[T] {
        usize::try_from(number).ok().and_then(|number| self.by_number.get(number)).map_or(&[], |content| content)
    }
}

impl StackTable {
    /// The number of `stack`, root to leaf; `None` when `is_full` and it is not known yet.
    pub(crate) fn stack(&mut self, stack: &[StackWord], is_full: bool) -> Option<StackId> {
        self.stacks.number(stack, is_full).map(StackId)
    }

    /// The number of the set of `stacks`, in this order, of repeats the last; `None` as above.
    pub(crate) fn set(&mut self, stacks: &[StackId], is_full: bool) -> Option<SetId> {
        if let [_] = stacks {
            return self.sets.number(stacks, is_full).map(SetId);
        }
        let mut kept: Vec<StackId> = Vec::new();
        for stack in stacks.iter().rev() {
            if kept.len() < MAX_SET && !kept.contains(stack) {
                kept.push(*stack);
            }
        }
        kept.reverse();
        self.sets.number(&kept, is_full).map(SetId)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stacks.by_number.is_empty()
    }

    /// How many stacks there are, and pairs of stacks within the sets.
    pub(crate) fn stacks_and_pairs(&self) -> usize {
        let pairs: usize = self.sets.by_number.iter().map(|set| set.len() * set.len()).sum();
        self.stacks.by_number.len() + pairs
    }

    /// The frames of every stack, root to leaf, in the order of their numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &[StackWord]> {
        self.stacks.by_number.iter().map(|stack| &**stack)
    }

    /// The frames of `id`, root to leaf.
    pub(crate) fn frames(&self, id: StackId) -> &[StackWord] {
        self.stacks.get(id.0)
    }

    /// The stacks of `id`.
    pub(crate) fn stacks_of(&self, id: SetId) -> &[StackId] {
        self.sets.get(id.0)
    }

    /// The memory held, without the allocator's own.
    pub(crate) fn approx_bytes(&self) -> usize {
        self.stacks.bytes + self.sets.bytes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_stack_and_a_set_keep_their_numbers_and_a_full_table_takes_no_new_ones() {
        let mut table = StackTable::default();
        let one = table.stack(&[StackWord(1), StackWord(2)], false).unwrap();
        let other = table.stack(&[StackWord(1)], false).unwrap();
        assert_eq!(table.stack(&[StackWord(1), StackWord(2)], true), Some(one));
        assert_eq!(table.stack(&[StackWord(3)], true), None);
        assert_eq!(table.frames(one), [StackWord(1), StackWord(2)]);
        let set = table.set(&[other, one, other], false).unwrap();
        assert_eq!(table.set(&[one, other], true), Some(set));
        assert_eq!(table.stacks_of(set), [one, other]);
        assert!(table.approx_bytes() > 0);
    }
}
