//! Where spans stand among the functions of a stack.
//!
//! A span is entered deep inside of a subscriber, so its place says little. It stands before the function that it is named
//! after, where there is one further out; else after what polls inside of it; else before what the user's innermost function
//! has called.

use super::paths::Found;
use crate::model::stack::Place;
use crate::symbols::symbol::Class;

/// What polls or calls inside of a span, and so says where that was entered.
const ENTERS: [&str; 2] = ["tracing::instrument::Instrumented", "tracing::span::Span::in_scope"];

/// Moves spans, and frames by hand that spans have kept from their place.
pub(super) fn move_spans(found: &mut Vec<Found<'_>>) {
    // Frames by hand stay in their order: what follows one is inside of it.
    let mut from = 0;
    for at in 0..found.len() {
        let Some(Found::ByHand(_, place, span)) = found.get(at) else { continue };
        let (place, span) = (*place, span.clone());
        let candidates = found.get(from..at).unwrap_or_default();
        let function = span.as_ref().and_then(|name| candidates.iter().position(|found| is_named(found, name)));
        let to = match &span {
            None => inside_of(candidates, place),
            Some(_) => function.or_else(|| entered(candidates)).or_else(|| called(candidates)),
        };
        let to = from + to.unwrap_or(candidates.len());
        let moved = found.remove(at);
        found.insert(to, moved);
        from = to + 1;
        if function.is_some() {
            from += own_part(found.get(from..=at).unwrap_or_default());
        }
    }
}

/// Whether `found` is the user's function that the span `name` is of: that of a method lacks its type.
fn is_named(found: &Found<'_>, name: &str) -> bool {
    let Some(function) = found.function() else { return false };
    let last = |name: &str| name.rsplit_once("::").map_or(name.len(), |(module, _)| module.len());
    let (function_last, name_last) = (last(function), last(name));
    match (function.get(function_last..), name.get(name_last..)) {
        // Without a module it is whichever has that name.
        _ if name_last == name.len() => function.rsplit("::").next() == Some(name),
        (Some(of_function), Some(of_name)) => {
            of_function == of_name
                && name
                    .get(..name_last)
                    .is_some_and(|module| function.strip_prefix(module).is_some_and(|rest| rest.starts_with("::")))
        }
        _ => false,
    }
}

/// Where a frame by hand stands by its place.
fn inside_of(candidates: &[Found<'_>], place: Place) -> Option<usize> {
    candidates.iter().position(|found| matches!(found, Found::Function(_, of) if place < *of))
}

/// After what polls inside of a span, but for that of another one: `#[instrument]` has the same function on both sides of it.
fn entered(candidates: &[Found<'_>]) -> Option<usize> {
    let is_entered = |at: &usize| {
        let enters = matches!(candidates.get(*at), Some(Found::Function(symbol, _))
            if ENTERS.iter().any(|name| symbol.name.starts_with(name)));
        let outer = candidates.get(..*at).and_then(|outer| outer.iter().rev().find_map(Found::function));
        let inner = candidates.get(*at..).and_then(|inner| inner.iter().find_map(Found::function));
        enters && (outer.is_none() || outer != inner)
    };
    (0..candidates.len()).find(is_entered).map(|at| at + 1)
}

fn called(candidates: &[Found<'_>]) -> Option<usize> {
    candidates.iter().rposition(|found| found.function().is_some()).map(|at| at + 1)
}

/// How many of `inner`, which begins with a function, are parts of that: its closures, and what polls between them.
fn own_part(inner: &[Found<'_>]) -> usize {
    let own = inner.first().and_then(Found::function);
    let is_own = |found: &Found<'_>| found.function() == own;
    let is_inside = |found: &&Found<'_>| {
        is_own(found) || matches!(found, Found::Function(symbol, _) if symbol.class == Class::Plumbing)
    };
    let run = inner.iter().take_while(is_inside);
    (1..).zip(run).filter(|(_, found)| is_own(found)).map(|(count, _)| count).last().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::frame::FrameId;
    use crate::symbols::symbol::{Role, Symbol};

    const POLLS: &str = "tracing::instrument::Instrumented<T>::poll";

    /// Spans begin with `#`, frames by hand with `!` and their place; functions are 10 places apart.
    fn moved(names: &[&str]) -> String {
        let symbols: Vec<Symbol> = names.iter().map(|name| symbol(name)).collect();
        let mut place = 0;
        let mut found: Vec<Found<'_>> = symbols
            .iter()
            .map(|symbol| match symbol.name.split_at(1) {
                ("#", span) => Found::ByHand(FrameId(1), Place(u16::MAX), Some(span.into())),
                ("!", at) => Found::ByHand(FrameId(2), Place(at.parse().unwrap_or(0)), None),
                _ => {
                    place += 10;
                    Found::Function(symbol, Place(place))
                }
            })
            .collect();
        move_spans(&mut found);
        let name = |found: &Found<'_>| match found {
            Found::ByHand(_, place, span) => {
                span.as_ref().map_or_else(|| format!("!{}", place.0), |name| format!("#{name}"))
            }
            Found::Function(symbol, _) if &*symbol.name == POLLS => "polls".into(),
            Found::Function(symbol, _) => symbol.name.to_string(),
        };
        found.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    fn symbol(name: &str) -> Symbol {
        let class = match name {
            POLLS => Class::Plumbing,
            _ if name.starts_with("tokio") => Class::Library,
            _ => Class::Own,
        };
        Symbol { name: name.into(), file: None, line: 0, class, role: Role::Plain, task: None }
    }

    #[test]
    fn a_span_stands_before_its_function_and_a_method_lacks_its_type() {
        assert_eq!(moved(&["s::f", POLLS, "s::f", "s::g", "tokio", "#s::f"]), "#s::f s::f polls s::f s::g tokio");
        assert_eq!(moved(&["s::a::get", "s::r::Repo::get", "#s::r::get"]), "s::a::get #s::r::get s::r::Repo::get");
        assert_eq!(moved(&["s::r::Repo::get", "s::r::get", "#s::r::get"]), "#s::r::get s::r::Repo::get s::r::get");
        assert_eq!(moved(&["s::a::get", "tokio", "#s::r::get"]), "s::a::get #s::r::get tokio", "another module's");
    }

    #[test]
    fn spans_of_functions_inside_of_each_other_keep_their_order() {
        let nested = ["s::f", POLLS, "s::f", "s::g", POLLS, "s::g", "#s::f", "#s::g"];
        assert_eq!(moved(&nested), "#s::f s::f polls s::f #s::g s::g polls s::g");
        let recursive = ["s::f", POLLS, "s::f", "s::h", "s::f", POLLS, "s::f", "#s::f", "#s::f"];
        assert_eq!(moved(&recursive), "#s::f s::f polls s::f s::h #s::f s::f polls s::f");
    }

    #[test]
    fn a_span_that_is_no_function_stands_after_what_polls_it() {
        assert_eq!(moved(&["s::f", POLLS, "s::x", "s::y", "tokio", "#q"]), "s::f polls #q s::x s::y tokio");
        let within = ["s::f", POLLS, "s::f", POLLS, "s::x", "s::y", "#s::f", "#q"];
        assert_eq!(moved(&within), "#s::f s::f polls s::f polls #q s::x s::y");
        // The outer one is of a span that nobody asks for.
        let uncounted = ["s::f", POLLS, "s::f", POLLS, "s::x", "#q"];
        assert_eq!(moved(&uncounted), "s::f polls s::f polls #q s::x");
        assert_eq!(moved(&["s::f", "s::g", "tokio", "#q"]), "s::f s::g #q tokio", "a guard");
        assert_eq!(moved(&["tokio", "#q"]), "tokio #q");
    }

    #[test]
    fn a_frame_by_hand_after_a_span_stands_by_its_own_place() {
        assert_eq!(moved(&["s::f", "s::b", "s::c", "#s::f", "!25"]), "#s::f s::f s::b !25 s::c");
        assert_eq!(moved(&["s::f", "!15", "s::c"]), "s::f !15 s::c");
        assert_eq!(moved(&["s::f", "s::c", "!99"]), "s::f s::c !99");
    }
}
