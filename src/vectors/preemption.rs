//! Says in the words of an async task what a preempting source reports.
//!
//! There a function is suspended and goes on where it stood; here a poll ends, which closes every frame, and the
//! next one opens them again. So `Out` becomes a `Leave` of each open frame and an `Out`, and `In` an `In` and a
//! `Call` of each. There SLEEP is a frame that is pushed, and while it is on top the process sleeps; what is done
//! beneath it by mistake (a lost `In`) is done by a task that was woken with SLEEP as an ordinary frame.

use super::{Event, Names};
use crate::model::fold::{Finished, Fold, FoldLimits};
use crate::model::frame::FrameId;
use crate::model::time::Nanos;
use crate::model::trace_event::{EndReason, TraceEvent};

pub(super) fn fold<'a>(events: &[(Event<'a>, u64)], names: &mut Names<'a>) -> Finished {
    let limits = FoldLimits { max_stacks: usize::MAX, max_depth: usize::MAX };
    let mut task = Task { fold: Fold::new(limits).log_every_sleep(), asleep: None, now: Nanos::ZERO };
    let start = events.first().map_or(0, |(_, at)| *at);
    for (event, at) in events {
        // Calls stand in the same stream here, so the rule for times that go back holds for them too.
        task.now = task.now.max(Nanos(at.saturating_sub(start)));
        task.take(event, names);
    }
    let now = task.now;
    task.apply(TraceEvent::End(EndReason::Done));
    task.fold.finish(now)
}

struct Task {
    fold: Fold,
    /// What was open when the task fell asleep.
    asleep: Option<Vec<FrameId>>,
    now: Nanos,
}

impl Task {
    fn take<'a>(&mut self, event: &Event<'a>, names: &mut Names<'a>) {
        match *event {
            Event::Receive { id, label } => self.fold.receive(id, names.id(label), self.now),
            Event::Send { id } => self.fold.send(id, self.now),
            Event::In => {
                self.wake();
                self.sleep_if_that_is_on_top();
            }
            Event::Out => {
                self.wake_as_frame();
                self.sleep();
            }
            Event::Call(name) => self.run(TraceEvent::Call(names.id(name))),
            Event::ReturnTo(name) => self.run(TraceEvent::ReturnTo(name.map(|name| names.id(name)))),
        }
    }

    fn run(&mut self, event: TraceEvent) {
        self.wake_as_frame();
        self.apply(event);
        self.sleep_if_that_is_on_top();
    }

    fn sleep_if_that_is_on_top(&mut self) {
        if self.fold.open_frames().next_back() == Some(FrameId::SLEEP) {
            self.apply(TraceEvent::Return { depth: self.depth() - 1 });
            self.sleep();
        }
    }

    fn sleep(&mut self) {
        let open: Vec<_> = self.fold.open_frames().collect();
        for depth in (0..self.depth()).rev() {
            self.apply(TraceEvent::Leave { depth });
        }
        self.apply(TraceEvent::Out);
        self.asleep = Some(open);
    }

    /// With nothing to wake it is the stray `In` of a task that runs.
    fn wake(&mut self) {
        self.apply(TraceEvent::In);
        for frame in self.asleep.take().into_iter().flatten() {
            self.apply(TraceEvent::Call(frame));
        }
    }

    fn wake_as_frame(&mut self) {
        if self.asleep.is_some() {
            self.wake();
            self.apply(TraceEvent::Call(FrameId::SLEEP));
        }
    }

    fn apply(&mut self, event: TraceEvent) {
        self.fold.apply(event, self.now);
    }

    fn depth(&self) -> u32 {
        u32::try_from(self.fold.open_frames().len()).unwrap_or(u32::MAX)
    }
}
