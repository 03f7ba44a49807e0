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

/// Parts of a scheduler that wake on their own account: a timer has run out, a socket has become ready, a task has let
/// others go first.
const DRIVERS: [&str; 5] = [
    "tokio::runtime::scheduler::defer",
    "tokio::runtime::time",
    "tokio::runtime::io",
    "tokio::runtime::driver",
    "tokio::runtime::signal",
];

/// What tokio calls a task from, and ends it in.
const TASKS: [&str; 2] = ["tokio::runtime::task::raw::poll", "tokio::runtime::task::harness::"];

/// The actor whose handler woke the task, else the outermost function of the user's in the task that did, else whose task it
/// was that ended. `symbols` from the root of the waking thread to the waker.
pub(crate) fn answered_by(symbols: &[Symbol]) -> Option<Arc<str>> {
    let innermost = symbols.iter().rposition(is_own);
    let (before, inside) = symbols.split_at_checked(innermost.map_or(0, |at| at + 1))?;
    if inside.iter().any(|symbol| is_one_of(symbol, &DRIVERS)) {
        return None;
    }
    if let Some(task) = inside.iter().rfind(|symbol| is_one_of(symbol, &TASKS)) {
        // Nothing of the user's runs: a task has ended, whose type says what it was, or a library's wakes on its own account.
        return task.task.clone();
    }
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
            task: None,
        };
        names.iter().map(symbol).collect()
    }

    const MAIN: (&str, Class) = ("shop::main", Class::Own);
    const BLOCK_ON: (&str, Class) = ("tokio::runtime::Runtime::block_on", Class::Plumbing);
    const POLL: (&str, Class) = ("tokio::runtime::task::raw::poll", Class::Plumbing);
    const COMPLETE: (&str, Class) = ("tokio::runtime::task::harness::Harness::complete", Class::Plumbing);
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
        // The end of a task without a name, on the only thread, and the turn of one that has yielded.
        assert_eq!(answered_by(&stack(&[MAIN, BLOCK_ON, POLL, COMPLETE])), None);
        let yielded = stack(&[MAIN, BLOCK_ON, ("tokio::runtime::scheduler::defer::Defer::wake", Class::Plumbing)]);
        assert_eq!(answered_by(&yielded), None);
        assert_eq!(answered_by(&stack(&[POLL, SEND])), None);
        assert_eq!(answered_by(&[]), None);
    }

    #[test]
    fn a_task_that_ended_is_named_by_its_type_and_not_by_who_runs_around_it() {
        let mut symbols = stack(&[MAIN, BLOCK_ON, POLL, ("shop::around", Class::Own), BLOCK_ON, POLL, COMPLETE]);
        symbols
            .iter_mut()
            .filter(|symbol| symbol.name.contains("harness"))
            .for_each(|symbol| symbol.task = Some("shop::ended".into()));
        assert_eq!(answered_by(&symbols).as_deref(), Some("shop::ended"));
        // It had ended before: its last words are another's.
        symbols.push(stack(&[("shop::Guard::drop", Class::Own)]).remove(0));
        assert_eq!(answered_by(&symbols).as_deref(), Some("shop::Guard::drop"));
        // Another one that has no name ends around it, and a library's runs inside of it.
        let mut around = stack(&[POLL, COMPLETE, POLL, COMPLETE]);
        around.iter_mut().take(2).for_each(|symbol| symbol.task = Some("shop::around".into()));
        assert_eq!(answered_by(&around), None);
        around.truncate(3);
        around.push(stack(&[("hyper::proto::dispatch", Class::Library)]).remove(0));
        assert_eq!(answered_by(&around), None);
        // No frame of the user's at all.
        assert_eq!(answered_by(symbols.get(4..7).unwrap_or_default()).as_deref(), Some("shop::ended"));
    }

    #[test]
    fn code_of_main_that_wakes_by_itself_is_named() {
        assert_eq!(answered_by(&stack(&[MAIN, SEND])).as_deref(), Some("shop::main"));
    }
}
