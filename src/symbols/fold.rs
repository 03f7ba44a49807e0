//! Which frames of a stack a reader sees. Pure.

use std::sync::Arc;

use super::symbol::{Class, Role, Symbol};
use crate::model::native::StackKind;

/// How many library frames follow the deepest own one where the thread ran.
const CPU_TAIL: usize = 3;
/// How many are left of a stack without any own frame.
const WITHOUT_OWN: usize = 3;

/// One step from the root to the leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A function.
    Native(&'a Symbol),
    /// A frame that the user opened, or a span of theirs with its name: always kept, and theirs.
    Explicit(Option<&'a str>),
}

/// Whether each step is kept: the own call chain and what of a library it waits in or runs.
pub(crate) fn keep(steps: &[Step<'_>], kind: StackKind, is_raw: bool) -> Vec<bool> {
    if is_raw {
        return vec![true; steps.len()];
    }
    let mut kept = steps.iter().map(|step| is_own(step)).collect::<Vec<_>>();
    let informative = |(at, step): (usize, &Step<'_>)| (!is_plumbing(step)).then_some(at);
    let deepest = kept.iter().rposition(|own| *own);
    let extra: Vec<usize> = match deepest {
        Some(deepest) => {
            let tail = if kind == StackKind::Cpu { CPU_TAIL } else { 1 };
            steps.iter().enumerate().skip(deepest + 1).filter_map(informative).take(tail).collect()
        }
        None => steps.iter().enumerate().rev().filter_map(informative).take(WITHOUT_OWN).collect(),
    };
    for at in extra {
        if let Some(kept) = kept.get_mut(at) {
            *kept = true;
        }
    }
    // A stack of plumbing alone still ends somewhere.
    if let Some(last) = kept.last_mut().filter(|_| deepest.is_none()) {
        *last |= steps.iter().all(is_plumbing);
    }
    merge_repeats(steps, &mut kept);
    kept
}

/// The actor whose handler runs on the stack `symbols` (root to leaf), the innermost one.
pub(crate) fn answering_actor(symbols: &[Symbol]) -> Option<Arc<str>> {
    let handler = symbols.iter().rfind(|symbol| symbol.role == Role::ActorHandler)?;
    Some(handler.name.strip_suffix("::handle").unwrap_or(&handler.name).into())
}

fn is_own(step: &Step<'_>) -> bool {
    matches!(step, Step::Explicit(_) | Step::Native(Symbol { class: Class::Own, .. }))
}

fn is_plumbing(step: &Step<'_>) -> bool {
    matches!(step, Step::Native(Symbol { class: Class::Plumbing, .. }))
}

/// A function and its closures have one name: it shows once. So does the function after the span that is named after it.
fn merge_repeats(steps: &[Step<'_>], kept: &mut [bool]) {
    let mut before: Option<&str> = None;
    for (step, kept) in steps.iter().zip(kept.iter_mut()).filter(|(_, kept)| **kept) {
        let name = match step {
            Step::Native(symbol) => Some(&*symbol.name),
            Step::Explicit(span) => *span,
        };
        *kept = name.is_none() || name != before || matches!(step, Step::Explicit(_));
        before = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, class: Class) -> Symbol {
        Symbol { name: name.into(), file: None, line: 0, class, role: Role::Plain, task: None }
    }

    fn shown(symbols: &[Symbol], kind: StackKind) -> Vec<String> {
        let steps = symbols.iter().map(Step::Native).collect::<Vec<_>>();
        let kept = keep(&steps, kind, false);
        symbols.iter().zip(kept).filter(|(_, kept)| *kept).map(|(symbol, _)| symbol.name.to_string()).collect()
    }

    #[test]
    fn a_wait_shows_the_own_chain_and_one_library_frame() {
        use Class::{Library, Own, Plumbing};
        let stack = [
            ("axum::x", Plumbing),
            ("shop::a", Own),
            ("shop::a", Own),
            ("core::pin", Plumbing),
            ("shop::b", Own),
            ("core::f", Plumbing),
            ("tokio::Sleep", Library),
            ("tokio::y", Library),
        ]
        .map(|(name, class)| symbol(name, class));
        assert_eq!(shown(&stack, StackKind::Await), ["shop::a", "shop::b", "tokio::Sleep"]);
        assert_eq!(shown(&stack, StackKind::Cpu), ["shop::a", "shop::b", "tokio::Sleep", "tokio::y"]);
    }

    #[test]
    fn without_own_frames_the_informative_last_few_stay() {
        let stack = ["a", "b", "c", "d"].map(|name| symbol(name, Class::Library));
        assert_eq!(shown(&stack, StackKind::Await), ["b", "c", "d"]);
        let plumbing = ["a", "b"].map(|name| symbol(name, Class::Plumbing));
        assert_eq!(shown(&plumbing, StackKind::Await), ["b"]);
        assert!(shown(&[], StackKind::Cpu).is_empty());
    }

    #[test]
    fn explicit_frames_always_stay_and_raw_keeps_everything() {
        let plumbing = symbol("core::x", Class::Plumbing);
        let steps = [Step::Native(&plumbing), Step::Explicit(None), Step::Explicit(Some("x"))];
        assert_eq!(keep(&steps, StackKind::Await, false), [false, true, true]);
        assert_eq!(keep(&steps, StackKind::Await, true), [true; 3]);
    }

    #[test]
    fn a_span_and_the_function_after_it_that_it_is_named_after_are_one_frame() {
        let own = symbol("shop::load", Class::Own);
        let (span, function) = (Step::Explicit(Some("shop::load")), Step::Native(&own));
        let kept = |steps: &[Step<'_>], is_raw| keep(steps, StackKind::Await, is_raw);
        assert_eq!(kept(&[span, function, function], false), [true, false, false]);
        assert_eq!(kept(&[span, function], true), [true, true]);
        // Of two spans each was entered; and what is by hand says who may be inside of it.
        assert_eq!(kept(&[span, span, function, span], false), [true, true, false, true]);
        assert_eq!(kept(&[Step::Explicit(None), function], false), [true, true]);
    }
}
