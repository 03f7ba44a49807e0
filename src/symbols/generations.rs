//! A bound on what is remembered that keeps what is used often.

/// What is remembered together, and given up together.
pub(super) trait Generation: Default {
    /// What it occupies.
    fn bytes(&self) -> usize;
}

/// Two generations: when the young one has had its half of the bytes, the old one is given up and the young one takes its
/// place. Whoever finds something in the old one puts it into the young one, so what is used often stays.
#[derive(Debug)]
pub(super) struct Generations<G> {
    pub(super) young: G,
    pub(super) old: G,
    most_bytes: usize,
}

impl<G: Generation> Generations<G> {
    /// Both together stay within `most_bytes`, and what was put in last.
    pub(super) fn within(most_bytes: usize) -> Self {
        Self { young: G::default(), old: G::default(), most_bytes }
    }

    /// To be called before something is put into the young one; what is given up for it.
    pub(super) fn make_room(&mut self) -> Option<G> {
        if self.young.bytes() < self.most_bytes / 2 {
            return None;
        }
        let full = std::mem::take(&mut self.young);
        Some(std::mem::replace(&mut self.old, full))
    }

    /// Gives up all.
    pub(super) fn take(&mut self) -> [G; 2] {
        [std::mem::take(&mut self.young), std::mem::take(&mut self.old)]
    }

    pub(super) fn most_bytes(&self) -> usize {
        self.most_bytes
    }

    /// What they occupy.
    pub(super) fn bytes(&self) -> usize {
        self.young.bytes() + self.old.bytes()
    }
}
