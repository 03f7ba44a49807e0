//! Random programs against a model that knows nothing of recorders.

use std::cell::Cell;
use std::pin::{Pin, pin};

use proptest::prelude::*;

use super::rig::{Own, Rig, Session, chunks, limits, once, poll};
use crate::capture::frame::{FrameExt, in_frame};
use crate::model::config::Limits;

/// A program: what a traced task does.
#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    /// A synchronous frame, of synchronous steps only.
    Frame(usize, Vec<Step>),
    /// A future in a frame.
    Future(usize, Vec<Step>),
    /// A future in a frame that is polled once and dropped.
    Cancelled(usize, Vec<Step>),
    /// Pending once, for this long.
    Wait(u64),
}

const NAMES: [&str; 4] = ["w", "x", "y", "z"];

fn synchronous() -> impl Strategy<Value = Step> {
    (1..100_u64).prop_map(Step::Pass).prop_recursive(4, 24, 4, |step| {
        (0..NAMES.len(), prop::collection::vec(step, 0..4)).prop_map(|(name, steps)| Step::Frame(name, steps))
    })
}

fn program() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![2 => synchronous(), 1 => (1..1_000_u64).prop_map(Step::Wait)];
    let step = leaf.prop_recursive(4, 48, 5, |step| {
        let steps = prop::collection::vec(step, 0..5);
        (0..NAMES.len(), steps, prop::bool::weighted(0.3)).prop_map(|(name, steps, is_cancelled)| {
            if is_cancelled { Step::Cancelled(name, steps) } else { Step::Future(name, steps) }
        })
    });
    prop::collection::vec(step, 0..12)
}

fn run_sync(rig: &Rig, step: &Step) {
    match step {
        Step::Pass(time) => rig.pass(*time),
        Step::Frame(name, steps) => in_frame(NAMES[*name], || steps.iter().for_each(|step| run_sync(rig, step))),
        Step::Future(..) | Step::Cancelled(..) | Step::Wait(_) => unreachable!("not synchronous"),
    }
}

fn run<'a>(rig: &'a Rig, steps: &'a [Step], wait: &'a Cell<u64>) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        for step in steps {
            match step {
                Step::Wait(time) => {
                    wait.set(*time);
                    once().await;
                }
                Step::Future(name, steps) => run(rig, steps, wait).in_frame(NAMES[*name]).await,
                Step::Cancelled(name, steps) => {
                    let mut future = pin!(run(rig, steps, wait).in_frame(NAMES[*name]));
                    let _is_ready = futures::poll!(future.as_mut()).is_ready();
                }
                step => run_sync(rig, step),
            }
        }
    })
}

/// The model: paths and times, by walking the program.
#[derive(Default)]
struct Model {
    path: Vec<&'static str>,
    own: Own,
    /// Futures on the way that are polled once only.
    polled_once: usize,
    waits_left: usize,
}

/// A future polled once has come to its wait, or the whole task was dropped.
enum Broken {
    Future,
    Task,
}

impl Model {
    fn of(program: &[Step], waits: usize) -> Own {
        let mut model = Self { waits_left: waits, ..Self::default() };
        // `Err`: the task was dropped in a wait.
        model.walk(program).ok();
        model.own
    }

    fn add(&mut self, leaf: Option<&'static str>, time: u64) {
        let path: Vec<_> = self.path.iter().copied().chain(leaf).collect();
        *self.own.entry(path.join(";")).or_default() += time;
    }

    fn walk(&mut self, steps: &[Step]) -> Result<(), Broken> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), Broken> {
        match step {
            Step::Pass(time) => self.add(None, *time),
            Step::Frame(name, steps) | Step::Future(name, steps) => self.inside(*name, steps)?,
            Step::Cancelled(name, steps) => {
                self.polled_once += 1;
                let walked = self.inside(*name, steps);
                self.polled_once -= 1;
                if let Err(Broken::Task) = walked {
                    return Err(Broken::Task);
                }
            }
            Step::Wait(_) if self.polled_once > 0 => return Err(Broken::Future),
            Step::Wait(time) => {
                self.add(Some("SLEEP"), *time);
                self.waits_left -= 1;
                if self.waits_left == 0 {
                    return Err(Broken::Task);
                }
            }
        }
        Ok(())
    }

    fn inside(&mut self, name: usize, steps: &[Step]) -> Result<(), Broken> {
        self.path.push(NAMES[name]);
        let walked = self.walk(steps);
        self.path.pop();
        walked
    }
}

/// Runs `program` in a trace that is dropped in its wait number `waits`, read after every `read_every`th.
fn trace(rig: &Rig, program: &[Step], waits: usize, read_every: usize) -> Own {
    let (scope, mut session) = rig.admit();
    let wait = Cell::new(0);
    {
        let mut traced = pin!(scope.run(run(rig, program, &wait)));
        let mut waited = 0;
        while waited < waits && poll(traced.as_mut()).is_pending() {
            rig.pass(wait.get());
            waited += 1;
            if waited % read_every == 0 {
                session.read();
            }
        }
    }
    end(rig, session)
}

fn end(rig: &Rig, session: Session) -> Own {
    let owned = session.finish();
    rig.core.inbox.drain().for_each(drop);
    assert_eq!(rig.core.permits.active(), 0);
    rig.core.release_idle();
    assert_eq!(rig.core.budget.used(), 0, "everything has been given back");
    owned
}

/// The time in each path of frames and in all that it called. Sleeps belong to the path in which they are.
fn inclusive(own: &Own) -> Own {
    let mut all = Own::new();
    for (path, time) in own {
        let frames: Vec<_> = path.split(';').filter(|name| !name.is_empty() && *name != "SLEEP").collect();
        for depth in 0..=frames.len() {
            *all.entry(frames[..depth].join(";")).or_default() += time;
        }
    }
    all
}

fn asleep(own: &Own) -> u64 {
    own.iter().filter(|(path, _)| path.ends_with("SLEEP")).map(|(_, time)| time).sum()
}

/// A path with frames below `depth` left out.
fn cut(own: &Own, depth: usize) -> Own {
    let mut kept = Own::new();
    for (path, time) in own {
        let is_sleep = path.ends_with("SLEEP");
        let frames = path.split(';').filter(|name| !name.is_empty() && *name != "SLEEP").take(depth);
        let names: Vec<_> = frames.chain(is_sleep.then_some("SLEEP")).collect();
        *kept.entry(names.join(";")).or_default() += time;
    }
    kept
}

/// Long enough for a program to fill chunks.
fn repeated(program: &[Step], times: usize) -> Vec<Step> {
    program.iter().cycle().take(program.len() * times).cloned().collect()
}

proptest! {
    #[test]
    fn own_times_are_exactly_those_of_the_model(
        program in program(), waits in prop_oneof![1..6_usize, Just(usize::MAX)], read_every in 1..4_usize,
    ) {
        prop_assert_eq!(trace(&Rig::new(), &program, waits, read_every), Model::of(&program, waits));
    }

    #[test]
    fn a_limit_of_depth_cuts_paths_and_changes_nothing_else(
        program in program(), depth in 1..5_usize, waits in prop_oneof![1..6_usize, Just(usize::MAX)],
    ) {
        let rig = Rig::with(Limits { max_stack_depth: depth, ..limits() });
        prop_assert_eq!(trace(&rig, &program, waits, 1), cut(&Model::of(&program, waits), depth));
    }

    #[test]
    fn a_limit_of_paths_leaves_those_that_are_kept_as_they_are(program in program(), max_stacks in 1..8_usize) {
        let rig = Rig::with(Limits { max_stacks, ..limits() });
        let (kept, all) = (trace(&rig, &program, usize::MAX, 1), Model::of(&program, usize::MAX));
        let all = inclusive(&all);
        for (path, time) in inclusive(&kept) {
            prop_assert_eq!(Some(&time), all.get(&path), "{}", path);
        }
    }

    #[test]
    fn what_is_left_out_only_moves_towards_the_root(
        program in program(),
        times in 1..40_usize,
        max_events in prop_oneof![1..200_usize, Just(500_000)],
        buffer in 1..4_u64,
        all_buffers in 2..6_u64,
        max_stack_depth in prop_oneof![1..4_usize, Just(512)],
        max_stacks in prop_oneof![1..8_usize, Just(50_000)],
        read_every in prop_oneof![1..4_usize, Just(usize::MAX)],
    ) {
        let program = repeated(&program, times);
        let rig = Rig::with(Limits {
            max_events,
            trace_buffer_size_bytes: chunks(buffer),
            max_capture_bytes: chunks(all_buffers),
            max_stack_depth,
            max_stacks,
            ..limits()
        });
        let (kept, all) = (trace(&rig, &program, usize::MAX, read_every), Model::of(&program, usize::MAX));
        prop_assert_eq!(kept.values().sum::<u64>(), all.values().sum::<u64>());
        prop_assert!(asleep(&kept) <= asleep(&all));
        let all = inclusive(&all);
        for (path, time) in inclusive(&kept) {
            prop_assert!(all.get(&path).is_some_and(|whole| time <= *whole), "{path}: {time} of {all:?}");
        }
    }
}
