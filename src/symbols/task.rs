//! What a task of tokio's runs: read from the functions that tokio has for each type of task. Pure.

use super::name::{self, arguments};
use super::symbol::Class;

/// How both ways to write a linker's name begin the functions of `tokio::runtime::task::harness`, whose first argument is
/// the task's future.
const HARNESS: &str = "7runtime4task7harness";

/// In which segments the debug information has the types of closures and of async functions and blocks.
const BODY: &str = "_env#";

/// Whether the function with this linker's name exists once for each type of task.
pub(super) fn is_of_one_task(linkage_name: &str) -> bool {
    linkage_name.contains(HARNESS)
}

/// Futures that run their first argument.
const WRAPPERS: [&str; 2] = ["core::pin::Pin", "alloc::boxed::Box"];

/// Whose task it is that `function` runs or ends, a name with its arguments as the debug information has it: the user's
/// async function, the function that has the block or closure in it, or the future's type.
pub(super) fn of_function(function: &str) -> Option<String> {
    let future = arguments(function)?.next()?;
    let bodies = paths(future).filter(|path| path.rsplit("::").next().is_some_and(|last| last.contains(BODY)));
    // Other arguments of a library's future say nothing of who runs.
    bodies
        .filter_map(own)
        .next()
        .or_else(|| std::iter::successors(Some(future), |outer| wrapped(outer)).find_map(of_type))
}

fn wrapped(future: &str) -> Option<&str> {
    WRAPPERS.contains(&paths(future).next()?).then_some(arguments(future)?.next()?)
}

fn of_type(future: &str) -> Option<String> {
    own(paths(future).next()?)
}

/// The paths in a type, from left to right.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let is_of_path = |character: char| character.is_alphanumeric() || "_:{}#".contains(character);
    text.split(move |character| !is_of_path(character)).filter(|path| !path.is_empty())
}

fn own(path: &str) -> Option<String> {
    let named = name::read(path);
    (name::class_of(&named, None) == Class::Own).then_some(named.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_called_by_its_function_whatever_it_is_wrapped_in() {
        const SCHEDULER: &str =
            "alloc::sync::Arc<tokio::runtime::scheduler::multi_thread::handle::Handle, alloc::alloc::Global>";
        for (future, expected) in [
            ("shop::orders::load::{async_fn_env#0}", Some("shop::orders::load")),
            (
                "shop::orders::load::{async_fn_env#0}<shop::Db, alloc::vec::Vec<u8, alloc::alloc::Global>>",
                Some("shop::orders::load"),
            ),
            ("shop::orders::{impl#3}::run::{async_fn#0}::{async_block_env#1}", Some("shop::orders::run")),
            (
                "core::pin::Pin<alloc::boxed::Box<shop::serve::{async_block_env#0}, alloc::alloc::Global>>",
                Some("shop::serve"),
            ),
            ("tracing::instrument::Instrumented<shop::work::{async_fn_env#0}>", Some("shop::work")),
            ("flame_on::capture::task::TaskNamed<shop::work::{async_block_env#0}>", Some("shop::work")),
            ("tokio::runtime::blocking::task::BlockingTask<shop::hash::{closure_env#0}>", Some("shop::hash")),
            ("tokio::runtime::blocking::task::BlockingTask<fn(shop::Order) -> u8>", None),
            ("core::pin::Pin<alloc::boxed::Box<shop::Upload<u8>, alloc::alloc::Global>>", Some("shop::Upload")),
            ("shop::Upload<(u8, fn() -> shop::x::{closure_env#0})>", Some("shop::x")),
            ("shop::Upload<alloc::string::String>", Some("shop::Upload")),
            ("tokio::runtime::blocking::task::BlockingTask<tokio::fs::read::{closure_env#0}<shop::Path>>", None),
            (
                "core::pin::Pin<alloc::boxed::Box<(dyn core::future::future::Future<Output=shop::Reply> + core::marker::Send)>>",
                None,
            ),
            ("ractor::actor::{impl#0}::start::{async_fn#0}::{async_block_env#0}<shop::PriceActor>", None),
        ] {
            let name = format!("complete<{future}, {SCHEDULER}>");
            assert_eq!(of_function(&name).as_deref(), expected, "{future}");
        }
        for name in ["complete", "complete<>", "complete<shop::x", "{closure#0}"] {
            assert_eq!(of_function(name), None, "{name}");
        }
    }

    #[test]
    fn functions_of_one_task_are_known_in_both_manglings() {
        assert!(is_of_one_task("_ZN5tokio7runtime4task7harness20Harness$LT$T$C$S$GT$8complete17hf0d94e226cb67a75E"));
        assert!(is_of_one_task(
            "_RNvMs1_NtNtNtCsb1Q3fXx_5tokio7runtime4task7harnessINtB5_7HarnessNCNvCs1_4shop4load0E8completeB1_"
        ));
        assert!(!is_of_one_task("_ZN5tokio7runtime4task22LocalNotified$LT$S$GT$3run17h5cab7d66ca3b452aE"));
    }
}
