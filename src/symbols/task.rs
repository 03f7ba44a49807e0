//! Whose task it was that has ended: read from the function that tokio has for each type of task. Pure.

use super::name::{self, arguments};
use super::symbol::Class;

/// What ends a task; its first argument is the task's future.
const COMPLETE: &str = "tokio::runtime::task::harness::Harness::complete";
/// How both ways to write a linker's name have its module.
const HARNESS: &str = "7runtime4task7harness";

/// In which segments the debug information has the types of closures and of async functions and blocks.
const BODY: &str = "_env#";

/// What futures that run their first argument begin with.
const WRAPPERS: [&str; 9] = [
    "alloc::boxed::Box",
    "core::pin::Pin",
    "flame_on::",
    "futures_util::future::",
    "tokio::runtime::blocking::task::BlockingTask",
    "tokio::task::coop::",
    "tokio::time::timeout::Timeout",
    "tokio_util::task::",
    "tracing::instrument::",
];

/// Whether the function with this linker's name ends a task. It exists once for each type of task.
pub(super) fn ends_a_task(linkage_name: &str) -> bool {
    linkage_name.contains(HARNESS) && name::read(linkage_name).text == COMPLETE
}

/// Whose task it is that `function` ends, a name with its arguments as the debug information has it: the user's async
/// function, the function that has the block or closure in it, or the future's type. `is_library` of what is known by its
/// name to be nobody else's.
pub(super) fn of_function(function: &str, is_library: impl Fn(&str) -> bool) -> Option<String> {
    let future = arguments(function)?.next()?;
    let innermost = std::iter::successors(Some(future), |outer| wrapped(outer)).last()?;
    own(innermost).filter(|task| !is_library(task))
}

/// Other arguments of a library's future say nothing of who runs: they are its connector, say, or its body.
fn wrapped(future: &str) -> Option<&str> {
    let path = path_of(future);
    let is_wrapper = !path.contains(BODY) && WRAPPERS.iter().any(|wrapper| path.starts_with(wrapper));
    is_wrapper.then_some(arguments(future)?.next()?)
}

fn own(future: &str) -> Option<String> {
    let named = name::read(path_of(future));
    (name::class_of(&named, None) == Class::Own).then_some(named.text)
}

/// The type `future` without its arguments.
fn path_of(future: &str) -> &str {
    future.split('<').next().unwrap_or(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_library(path: &str) -> bool {
        ["driver::", "tokio_util::"].iter().any(|name| path.starts_with(name))
    }

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
            ("shop::Upload<(u8, fn() -> shop::x::{closure_env#0})>", Some("shop::Upload")),
            (
                "futures_util::future::future::map::Map<shop::work::{async_fn_env#0}, shop::x::{closure_env#0}>",
                Some("shop::work"),
            ),
            ("shop::Upload<alloc::string::String>", Some("shop::Upload")),
            ("tokio::runtime::blocking::task::BlockingTask<tokio::fs::read::{closure_env#0}<shop::Path>>", None),
            ("hyper_util::client::connect::{async_fn_env#0}<shop::connect::{closure_env#0}, shop::Body>", None),
            ("hyper::client::conn::http1::Connection<shop::Io, shop::Body>", None),
            ("driver::connection::{async_fn_env#0}<shop::Io>", None),
            ("tokio_util::task::task_tracker::TrackedFuture<shop::work::{async_fn_env#0}>", Some("shop::work")),
            ("tokio_util::sync::Driver<shop::Io>", None),
            (
                "core::pin::Pin<alloc::boxed::Box<(dyn core::future::future::Future<Output=shop::Reply> + core::marker::Send)>>",
                None,
            ),
            ("ractor::actor::{impl#0}::start::{async_fn#0}::{async_block_env#0}<shop::PriceActor>", None),
        ] {
            let name = format!("complete<{future}, {SCHEDULER}>");
            assert_eq!(of_function(&name, is_library).as_deref(), expected, "{future}");
        }
        for name in ["complete", "complete<>", "complete<shop::x", "{closure#0}"] {
            assert_eq!(of_function(name, is_library), None, "{name}");
        }
    }

    #[test]
    fn what_ends_a_task_is_known_in_both_manglings() {
        assert!(ends_a_task("_ZN5tokio7runtime4task7harness20Harness$LT$T$C$S$GT$8complete17hf0d94e226cb67a75E"));
        let of_complete = |function| {
            const MODULE: &str = "NtNtNtCs1_5tokio7runtime4task7harness";
            format!("_RNvM{MODULE}INt{MODULE}7HarnessNCNvCs2_4shop8complete0E{function}")
        };
        assert!(ends_a_task(&of_complete("8complete")));
        // Library code in the middle of its poll answers for nobody.
        assert!(!ends_a_task(&of_complete("4poll")));
        assert!(!ends_a_task("_ZN5tokio7runtime4task7harness20Harness$LT$T$C$S$GT$4poll17hf24baea8cb1952b8E"));
        assert!(!ends_a_task("_ZN5tokio7runtime4task22LocalNotified$LT$S$GT$3run17h5cab7d66ca3b452aE"));
    }
}
