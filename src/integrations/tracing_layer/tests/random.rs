//! Spans entered, exited and closed in any order, beside frames, waits and a second trace.

use proptest::prelude::*;
use tracing::{Dispatch, Span, info_span};

use super::*;
use crate::capture::frame::FrameGuard;
use crate::capture::recorder::Leave;
use crate::capture::tests::rig::Rig;

const SPANS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter(usize),
    Exit(usize),
    /// A handle of the span goes, and another span comes in its place.
    Renew(usize),
    OpenFrame,
    CloseFrame,
    ExitElsewhere(usize),
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..SPANS).prop_map(Step::Enter),
        6 => (0..SPANS).prop_map(Step::Exit),
        2 => (0..SPANS).prop_map(Step::Renew),
        1 => Just(Step::OpenFrame),
        1 => Just(Step::CloseFrame),
        1 => (0..SPANS).prop_map(Step::ExitElsewhere),
        6 => any::<u16>().prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..24)
}

struct Run<'a> {
    rig: &'a Rig,
    spans: Vec<Span>,
    frames: Vec<FrameGuard>,
}

impl Run<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Enter(span) => with_id(&self.spans[span], Dispatch::enter),
            Step::Exit(span) => with_id(&self.spans[span], Dispatch::exit),
            Step::Renew(span) => self.spans[span] = new_span(span),
            Step::OpenFrame => self.frames.push(FrameGuard::enter("frame")),
            Step::CloseFrame => drop(self.frames.pop()),
            Step::ExitElsewhere(span) => {
                let span = &self.spans[span];
                std::thread::scope(|threads| {
                    threads.spawn(|| with_id(span, Dispatch::exit));
                });
            }
            Step::Pass(time) => self.rig.pass(time.into()),
        }
    }
}

fn with_id(span: &Span, f: impl FnOnce(&Dispatch, &Id)) {
    span.with_subscriber(|(id, dispatch)| f(dispatch, id));
}

fn new_span(number: usize) -> Span {
    match number {
        0 => info_span!("w"),
        1 => info_span!("x"),
        2 => info_span!("y"),
        _ => info_span!("z"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_order_of_spans_loses_time_or_panics(
        polls in prop::collection::vec((steps(), 0..1_000_u16, any::<bool>()), 1..6),
        max_stack_depth in prop_oneof![1..4_usize, Just(512)],
    ) {
        let limits = crate::model::config::Limits { max_stack_depth, ..crate::capture::tests::rig::limits() };
        let rig = Rig::with(limits);
        let (mut scope, session) = rig.admit();
        let mut passed = 0;
        with_layer(|| {
            let mut run = Run { rig: &rig, spans: (0..SPANS).map(new_span).collect(), frames: Vec::new() };
            for (steps, wait, is_pending) in &polls {
                let work = || steps.iter().for_each(|step| run.step(*step));
                scope.call_leaving(work, |()| Some(if *is_pending { Leave::Waiting } else { Leave::Ready }));
                rig.pass((*wait).into());
                let within = steps.iter().map(|step| if let Step::Pass(time) = step { u64::from(*time) } else { 0 });
                passed += u64::from(*wait) + within.sum::<u64>();
            }
            scope.finish();
        });
        // That they sum to the duration is checked there.
        prop_assert_eq!(session.finish().values().sum::<u64>(), passed);
    }
}
