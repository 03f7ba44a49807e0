//! Who woke a task: read from the stack of the thread that did. Pure.

use std::sync::Arc;

use super::fold::answering_actor;
use super::symbol::{Class, Symbol};

/// What a scheduler calls a task from: a function on the far side is another task's, or the program's `main`.
const SCHEDULERS: [&str; 7] = [
    "tokio::runtime::",
    "tokio::task::local::",
    "futures_executor::",
    "async_executor::",
    "async_task::",
    "std::thread::",
    "std::sys::",
];

/// Parts of a scheduler that wake on their own account: a timer has run out, a socket has become ready, a task has ended, or
/// has let others go first.
const DRIVERS: [&str; 7] = [
    "tokio::runtime::scheduler::defer",
    "tokio::runtime::time",
    "tokio::runtime::io",
    "tokio::runtime::driver",
    "tokio::runtime::signal",
    "tokio::runtime::task::raw::poll",
    "tokio::runtime::task::harness::",
];

/// The actor whose handler woke the task, else the outermost function of the user's in the task that did. `symbols`
/// from the root of the waking thread to the waker.
pub(crate) fn answered_by(symbols: &[Symbol]) -> Option<Arc<str>> {
    let innermost = symbols.iter().rposition(is_own)?;
    if symbols.iter().skip(innermost).any(|symbol| is_one_of(symbol, &DRIVERS)) {
        return None;
    }
    let before = symbols.get(..innermost).unwrap_or_default();
    let task = before.iter().rposition(|symbol| is_one_of(symbol, &SCHEDULERS)).map_or(0, |at| at + 1);
    let task = symbols.get(task..).unwrap_or_default();
    answering_actor(task).or_else(|| task.iter().find(|symbol| is_own(symbol)).map(|symbol| symbol.name.clone()))
}

fn is_own(symbol: &Symbol) -> bool {
    symbol.class == Class::Own
}

fn is_one_of(symbol: &Symbol, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| symbol.name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::symbol::Role;

    fn stack(names: &[(&str, Class)]) -> Vec<Symbol> {
        let symbol = |(name, class): &(&str, Class)| Symbol {
            name: (*name).into(),
            file: None,
            line: 0,
            class: *class,
            role: if name.ends_with("::handle") { Role::ActorHandler } else { Role::Plain },
        };
        names.iter().map(symbol).collect()
    }

    const MAIN: (&str, Class) = ("shop::main", Class::Own);
    const BLOCK_ON: (&str, Class) = ("tokio::runtime::Runtime::block_on", Class::Plumbing);
    const POLL: (&str, Class) = ("tokio::runtime::task::raw::poll", Class::Plumbing);
    const SEND: (&str, Class) = ("tokio::sync::oneshot::Sender<T>::send", Class::Library);

    #[test]
    fn the_task_that_sent_is_named_by_its_outermost_function_and_not_by_main() {
        let symbols = stack(&[MAIN, BLOCK_ON, POLL, ("shop::producer", Class::Own), ("shop::step", Class::Own), SEND]);
        assert_eq!(answered_by(&symbols).as_deref(), Some("shop::producer"));
    }

    #[test]
    fn an_actor_is_named_by_its_type() {
        let symbols = stack(&[POLL, ("shop::PriceActor::handle", Class::Own), ("shop::price", Class::Own), SEND]);
        assert_eq!(answered_by(&symbols).as_deref(), Some("shop::PriceActor"));
    }

    #[test]
    fn timers_sockets_and_stacks_without_own_code_answer_for_nobody() {
        let timer = stack(&[MAIN, BLOCK_ON, ("tokio::runtime::time::Handle::process_at_time", Class::Plumbing)]);
        assert_eq!(answered_by(&timer), None);
        // The end of a task, on the only thread, and the turn of one that has yielded.
        let ended = stack(&[MAIN, BLOCK_ON, POLL, ("tokio::runtime::task::harness::complete", Class::Plumbing)]);
        assert_eq!(answered_by(&ended), None);
        let yielded = stack(&[MAIN, BLOCK_ON, ("tokio::runtime::scheduler::defer::Defer::wake", Class::Plumbing)]);
        assert_eq!(answered_by(&yielded), None);
        assert_eq!(answered_by(&stack(&[POLL, SEND])), None);
        assert_eq!(answered_by(&[]), None);
    }

    #[test]
    fn code_of_main_that_wakes_by_itself_is_named() {
        assert_eq!(answered_by(&stack(&[MAIN, SEND])).as_deref(), Some("shop::main"));
    }
}
