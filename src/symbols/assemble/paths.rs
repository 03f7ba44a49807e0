//! Stacks as a reader sees them: named, folded, with frames by hand in their places.

use std::rc::Rc;
use std::sync::Arc;

use super::spans::move_spans;
use super::{Naming, Stack};
use crate::model::fold::native::{NativeLog, RunKey, merge};
use crate::model::frame::{FrameId, NamedFrame, Source};
use crate::model::frame_hash::IdMap;
use crate::model::native::StackKind;
use crate::model::stack::{Framed, Place, StackWord};
use crate::model::stack_table::{SetId, StackId};
use crate::symbols::chain::Chain;
use crate::symbols::fold::{Step, keep};
use crate::symbols::symbol::{Class, Role, Symbol};

/// What calls a closure that is no async body.
const POLLS_SEVERAL: [&str; 2] = ["core::future::poll_fn::PollFn", "futures_util::future::poll_fn::PollFn"];

/// The agent at work for a poll. What it takes shows as a part of the function that it was called from.
const CAPTURES: [&str; 8] = [
    "flame_on::capture::clock",
    "flame_on::capture::native::sampler",
    "flame_on::capture::native::ticks",
    "flame_on::capture::native::unwind",
    "flame_on::capture::native::waker",
    "flame_on::capture::recorder",
    "flame_on::capture::trace",
    "flame_on::capture::wakes",
];
/// It polls the user's future.
const POLLS: &str = "flame_on::capture::native::waker::RootWaker::with";

/// One frame of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) frame: FrameId,
    place: Place,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    Library,
    ByHand,
    /// A span that is shown in the place of the function that it is named after.
    OwnSpan,
}

impl Kind {
    fn is_by_hand(self) -> bool {
        matches!(self, Self::ByHand | Self::OwnSpan)
    }
}

type Path = Rc<[Element]>;

/// Paths by stack, each made once.
pub(super) struct Paths<'a, 'n> {
    log: &'a NativeLog,
    naming: Naming<'n>,
    sites: IdMap<StackId, Path>,
    live: IdMap<SetId, Rc<[StackId]>>,
    sets: IdMap<SetId, Path>,
    answers: IdMap<StackId, Option<FrameId>>,
    samples: IdMap<Vec<StackWord>, Path>,
    /// By where the name is in memory; and the name, which thereby stays there.
    frames: IdMap<usize, (FrameId, Arc<str>)>,
}

/// A frame on its way: by hand, or a function at an address.
pub(super) enum Found<'c> {
    /// And the name of a span.
    ByHand(FrameId, Place, Option<Arc<str>>),
    Function(&'c Symbol, Place),
}

impl<'a, 'n> Paths<'a, 'n> {
    pub(super) fn new(log: &'a NativeLog, naming: Naming<'n>) -> Self {
        Self {
            log,
            naming,
            sites: IdMap::default(),
            live: IdMap::default(),
            sets: IdMap::default(),
            answers: IdMap::default(),
            samples: IdMap::default(),
            frames: IdMap::default(),
        }
    }

    /// Of an await site.
    pub(super) fn of_site(&mut self, site: StackId) -> Path {
        if let Some(path) = self.sites.get(&site) {
            return path.clone();
        }
        let chain = (self.naming.chain)(Stack::Wait(site));
        let path = self.path(self.log.stacks.frames(site), &chain, StackKind::Await);
        self.sites.insert(site, path.clone());
        path
    }

    /// What several await sites have in common, from the root on.
    pub(super) fn of_set(&mut self, set: SetId) -> Path {
        if let Some(path) = self.sets.get(&set) {
            return path.clone();
        }
        let sites: Vec<Path> = self.live(set).iter().map(|site| self.of_site(*site)).collect();
        let path = common_prefix(&sites);
        self.sets.insert(set, path.clone());
        path
    }

    /// Those of `set` at which the task does wait. A resource may keep a waker for which nobody waits any more, because
    /// another branch of a `select!` was faster; the code has then gone on to wait elsewhere.
    pub(super) fn live(&mut self, set: SetId) -> Rc<[StackId]> {
        if let Some(live) = self.live.get(&set) {
            return live.clone();
        }
        let sites = self.log.stacks.stacks_of(set);
        if sites.len() < 2 {
            return sites.into();
        }
        let chains: Vec<Arc<Chain>> = sites.iter().map(|site| (self.naming.chain)(Stack::Wait(*site))).collect();
        let is_left = |at: usize| {
            let (one, later) = (chains.get(at), chains.get(at + 1..).unwrap_or_default());
            one.is_some_and(|one| later.iter().any(|later| has_gone_on(one.symbols(), later.symbols())))
        };
        let live = (0..).zip(sites).filter(|(at, _)| !is_left(*at)).map(|(_, site)| *site).collect::<Rc<[_]>>();
        self.live.insert(set, live.clone());
        live
    }

    /// Of a part of a poll without samples, inside the frames `by_hand`: what the site that it resumed from and those
    /// that it suspended at have in common, down to the deepest function of the user's. Where one of the two is not
    /// known, the outermost function of the user's: it is there for the whole poll.
    pub(super) fn of_run(&mut self, key: RunKey, by_hand: &[StackWord]) -> Vec<FrameId> {
        let resumed = key.resumed.map(|site| self.of_site(site));
        let suspended = key.suspended.map(|set| self.of_set(set));
        let common = match (resumed, suspended) {
            (Some(one), Some(other)) => down_to_last(&common_prefix(&[one, other]), self.naming.is_raw),
            (Some(only), None) | (None, Some(only)) => down_to_first_own(&only),
            (None, None) => Vec::new(),
        };
        within(&common, by_hand)
    }

    /// Of a CPU sample inside the frames `by_hand`.
    pub(super) fn of_sample(&mut self, frames: &[StackWord], by_hand: &[StackWord]) -> Vec<FrameId> {
        let mut merged = Vec::with_capacity(frames.len() + by_hand.len());
        merge(frames.iter().rev().copied(), by_hand.iter().copied(), &mut merged);
        let path = match self.samples.get(&merged) {
            Some(path) => path.clone(),
            None => {
                let chain = (self.naming.chain)(Stack::Sample(&merged));
                let path = self.path(&merged, &chain, StackKind::Cpu);
                self.samples.insert(merged, path.clone());
                path
            }
        };
        path.iter().map(|element| element.frame).collect()
    }

    /// `CALL <who>`, where it is known who woke the task.
    pub(super) fn answer(&mut self, task: Option<FrameId>, waker: Option<StackId>) -> Option<FrameId> {
        if let Some(task) = task {
            let name = (self.naming.by_hand)(task).name;
            return Some((self.naming.frame)(format!("CALL {name}").into()));
        }
        let waker = waker?;
        if let Some(known) = self.answers.get(&waker) {
            return *known;
        }
        let chain = (self.naming.chain)(Stack::Wait(waker));
        let answer = chain.call().map(|call| (self.naming.frame)(call.clone().into()));
        self.answers.insert(waker, answer);
        answer
    }

    fn path(&mut self, frames: &[StackWord], chain: &Chain, kind: StackKind) -> Path {
        let mut found = self.found(frames, chain);
        if kind == StackKind::Cpu && !self.naming.is_raw {
            cut_captures(&mut found);
        }
        move_spans(&mut found);
        let steps: Vec<Step<'_>> = found.iter().map(Found::step).collect();
        let kept = keep(&steps, kind, self.naming.is_raw);
        let kept = (0..).zip(kept).filter(|(_, kept)| *kept);
        kept.filter_map(|(at, _)| Some(self.element(found.get(at)?, found.get(at + 1..)?))).collect()
    }

    /// `frames` with the functions that `chain` has for them.
    fn found<'c>(&self, frames: &[StackWord], chain: &'c Chain) -> Vec<Found<'c>> {
        let mut found = Vec::with_capacity(frames.len() + chain.symbols().len());
        let mut functions = chain.functions().peekable();
        for (number, word) in (0..).zip(frames) {
            match word.framed() {
                Framed::ByHand(frame) => {
                    let named = (self.naming.by_hand)(frame);
                    let span = named.source.map(|_| named.name);
                    found.push(Found::ByHand(frame, word.place(), span));
                }
                Framed::Native(_) => {
                    while let Some((_, symbol)) = functions.next_if(|(of, _)| *of == number) {
                        found.push(Found::Function(symbol, word.place()));
                    }
                }
            }
        }
        found
    }

    /// `inner` is what comes after `found`.
    fn element(&mut self, found: &Found<'_>, inner: &[Found<'_>]) -> Element {
        match found {
            Found::ByHand(frame, place, span) => {
                let is_function = span.is_some() && inner.iter().find_map(Found::function) == span.as_ref();
                let kind = if is_function { Kind::OwnSpan } else { Kind::ByHand };
                Element { frame: *frame, place: *place, kind }
            }
            Found::Function(symbol, place) => {
                let kind = if symbol.class == Class::Own { Kind::Own } else { Kind::Library };
                Element { frame: self.frame(symbol), place: *place, kind }
            }
        }
    }

    fn frame(&mut self, symbol: &Symbol) -> FrameId {
        let naming = &mut self.naming;
        let known = self.frames.entry(Arc::as_ptr(&symbol.name).addr());
        known.or_insert_with(|| ((naming.frame)(named(symbol)), symbol.name.clone())).0
    }
}

impl Found<'_> {
    fn step(&self) -> Step<'_> {
        match self {
            Self::ByHand(_, _, span) => Step::Explicit(span.as_deref()),
            Self::Function(symbol, _) => Step::Native(symbol),
        }
    }

    /// Its name, if it is the user's.
    pub(super) fn function(&self) -> Option<&Arc<str>> {
        match self {
            Self::Function(symbol, _) if symbol.class == Class::Own => Some(&symbol.name),
            _ => None,
        }
    }

    fn is_capture(&self) -> bool {
        let Self::Function(symbol, _) = self else { return false };
        CAPTURES.iter().any(|module| symbol.name.starts_with(module)) && !symbol.name.starts_with(POLLS)
    }
}

/// Ends a sample where the agent is at work, with what of libraries it calls. Not where it has called the user's code again,
/// and frames by hand are the poll's, and stay.
fn cut_captures(found: &mut Vec<Found<'_>>) {
    let own = found.iter().rposition(|found| found.function().is_some()).map_or(0, |at| at + 1);
    if let Some(end) = found.iter().skip(own).position(Found::is_capture) {
        let inner = found.split_off(own + end);
        found.extend(inner.into_iter().filter(|found| matches!(found, Found::ByHand(..))));
    }
}

fn named(symbol: &Symbol) -> NamedFrame {
    // Without its line: of all the lines that ran there is one frame.
    let source = symbol.file.as_ref().filter(|file| !file.is_empty());
    NamedFrame { name: symbol.name.clone(), source: source.map(|file| Source { file: Arc::clone(file), line: 0 }) }
}

/// Whether code that was about to wait at `one` must have gone on to be about to wait at `later`, both from the root on:
/// they part in the body of one async function, and that waits at one place at a time. The closure that `join!` and
/// `select!` make polls several futures.
fn has_gone_on(one: &[Symbol], later: &[Symbol]) -> bool {
    let is_same = |(one, later): &(&Symbol, &Symbol)| one.name == later.name && one.role == later.role;
    let shared = one.iter().zip(later).take_while(is_same).count();
    let Some(at) = shared.checked_sub(1) else { return false };
    // Where the two are at the same line all the way, they part further in than names tell.
    let parts = (0..=at).find(|at| one.get(*at).map(|symbol| symbol.line) != later.get(*at).map(|symbol| symbol.line));
    let at = parts.unwrap_or(at);
    let is_body = one.get(at).is_some_and(|symbol| symbol.class == Class::Own && symbol.role != Role::Plain);
    let caller = at.checked_sub(1).and_then(|caller| one.get(caller));
    is_body && !caller.is_some_and(|caller| POLLS_SEVERAL.contains(&&*caller.name))
}

fn common_prefix(paths: &[Path]) -> Path {
    let Some((first, others)) = paths.split_first() else { return Rc::default() };
    if others.is_empty() {
        return first.clone();
    }
    let length = others.iter().fold(first.len(), |length, other| {
        first.iter().zip(other.iter()).take(length).take_while(|(one, other)| one.frame == other.frame).count()
    });
    first.iter().take(length).copied().collect()
}

/// Without the library functions at its end: they are where the task waits, not what runs.
fn down_to_last(path: &[Element], is_raw: bool) -> Vec<Element> {
    let end = path.iter().rposition(|element| is_raw || element.kind != Kind::Library).map_or(0, |at| at + 1);
    path.iter().take(end).copied().collect()
}

fn down_to_first_own(path: &[Element]) -> Vec<Element> {
    let end = path.iter().position(|element| matches!(element.kind, Kind::Own | Kind::OwnSpan)).map_or(0, |at| at + 1);
    path.iter().take(end).copied().collect()
}

/// As much of `path` as is sure when exactly the frames `by_hand` are open, and these.
fn within(path: &[Element], by_hand: &[StackWord]) -> Vec<FrameId> {
    let mut frames = Vec::new();
    let mut open = by_hand.iter().filter_map(|word| Some((by_hand_frame(*word)?, word.place()))).peekable();
    for element in path {
        let next = open.peek().copied();
        match element.kind {
            kind if kind.is_by_hand() && next.is_none_or(|(frame, _)| frame != element.frame) => break,
            kind if kind.is_by_hand() => drop(open.next()),
            // It was opened further out than this function, and after the path was seen.
            _ if next.is_some_and(|(_, place)| place < element.place && !is_in(path, next)) => break,
            _ => {}
        }
        frames.push(element.frame);
    }
    frames.extend(open.map(|(frame, _)| frame));
    frames
}

fn is_in(path: &[Element], frame: Option<(FrameId, Place)>) -> bool {
    path.iter().any(|element| element.kind.is_by_hand() && Some(element.frame) == frame.map(|(frame, _)| frame))
}

fn by_hand_frame(word: StackWord) -> Option<FrameId> {
    match word.framed() {
        Framed::ByHand(frame) => Some(frame),
        Framed::Native(_) => None,
    }
}
