//! In the place of `crossbeam_queue`'s, which is not what is looked at: a push and the pop that gets its item are ordered, and
//! nothing else is.

use std::collections::VecDeque;

use loom::sync::atomic::{AtomicBool, Ordering};

use crate::turn::Turn;

/// More are never pushed in a model.
const PUSHES: usize = 8;

#[derive(Debug)]
pub(crate) struct ArrayQueue<T> {
    capacity: usize,
    /// One for each push, which hands its item over.
    pushed: [AtomicBool; PUSHES],
    state: Turn<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    pushes: usize,
}

impl<T> ArrayQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            pushed: std::array::from_fn(|_| AtomicBool::new(false)),
            state: Turn::new(State { items: VecDeque::new(), pushes: 0 }),
        }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.state.take();
        let push = state.pushes;
        state.pushes += 1;
        drop(state);
        self.pushed[push].store(true, Ordering::Release);
        let mut state = self.state.take();
        if state.items.len() == self.capacity {
            return Err(item);
        }
        state.items.push_back((item, push));
        Ok(())
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let (item, push) = self.state.take().items.pop_front()?;
        // A swap and not a load, which might read what was there before.
        assert!(self.pushed[push].swap(false, Ordering::Acquire));
        Some(item)
    }

    pub(crate) fn len(&self) -> usize {
        self.state.take().items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}
