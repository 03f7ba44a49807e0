//! In the place of the crate's own, which has more slots.

pub(super) const MAX_SLOTS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    generation: u32,
}

impl Cookie {
    pub(super) fn new(_slot: usize, generation: u32) -> Self {
        Self { generation }
    }

    pub(super) fn next_generation(generation: u32) -> u32 {
        generation + 1
    }

    pub(super) fn is_of(self, generation: u32) -> bool {
        self.generation == generation
    }
}
