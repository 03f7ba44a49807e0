//! Where a trace spent its time, in five parts.

use super::kind::Kind;
use super::stacks::Stacks;

/// The parts of a duration, in µs. They sum to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) cpu: i64,
    pub(crate) sleep: i64,
    pub(crate) call: i64,
    pub(crate) queue: i64,
    pub(crate) peer: i64,
}

impl Split {
    /// A path's time belongs to the deepest frame of it that waits; without one, to the CPU.
    pub(crate) fn of(stacks: &Stacks) -> Self {
        let kinds: Vec<Kind> = stacks.functions().iter().map(Kind::of).collect();
        let mut split = Self::default();
        for (path, micros) in stacks.paths() {
            // The root is the trace, whatever its name.
            let below = path.iter().skip(1).rev();
            let waits = below.filter_map(|function| kinds.get(*function as usize)).find(|kind| kind.is_waiting());
            *split.part_of(waits.copied()) += micros;
        }
        split
    }

    fn part_of(&mut self, waits: Option<Kind>) -> &mut i64 {
        match waits {
            Some(Kind::Sleep) => &mut self.sleep,
            Some(Kind::Call) => &mut self.call,
            Some(Kind::Queue) => &mut self.queue,
            Some(Kind::Peer) => &mut self.peer,
            _ => &mut self.cpu,
        }
    }

    /// Each part with its name, in the order of a bar.
    pub(crate) fn parts(&self) -> [(&'static str, &'static str, i64); 5] {
        [
            ("CPU", "own", self.cpu),
            ("CALL", "call", self.call),
            ("SLEEP", "sleep", self.sleep),
            ("QUEUE", "queue", self.queue),
            ("PEER", "peer", self.peer),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Split;
    use crate::graph::testing::stacks;

    #[test]
    fn each_path_goes_to_its_deepest_waiting_frame() {
        let split = Split::of(&stacks(&[
            ("SLEEP", 1),
            ("r;work", 2),
            ("r;work;SLEEP", 4),
            ("r;work;SLEEP;CALL x", 8),
            ("r;work;SLEEP;QUEUE", 16),
            ("r;work;SLEEP;branch", 32),
            ("r;PEER", 64),
        ]));
        assert_eq!(split, Split { cpu: 3, sleep: 36, call: 8, queue: 16, peer: 64 });
    }
}
