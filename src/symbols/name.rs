//! Names as a person writes them, and whose they are.

use super::symbol::{Class, Role};

/// A name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) text: String,
    pub(super) is_actor_handler: bool,
    /// A closure, or the body of an async function or block.
    pub(super) is_body: bool,
}

impl Named {
    pub(super) fn role(&self) -> Role {
        match self {
            Self { is_actor_handler: true, .. } => Role::ActorHandler,
            Self { is_body: true, .. } => Role::Body,
            _ => Role::Plain,
        }
    }
}

/// Whose function a name that begins so is, where its source does not say. The longest beginning decides.
const CRATES: &[(&str, Class)] = &[
    ("core", Class::Plumbing),
    ("core::slice::sort", Class::Library),
    ("core::str", Class::Library),
    ("core::fmt", Class::Library),
    ("std", Class::Library),
    ("std::panic", Class::Plumbing),
    ("std::panicking", Class::Plumbing),
    ("std::rt", Class::Plumbing),
    ("std::sys", Class::Plumbing),
    ("std::thread", Class::Plumbing),
    ("std::thread::functions", Class::Library),
    ("std::thread::sleep", Class::Library),
    (SLICE, Class::Library),
    ("alloc", Class::Library),
    ("alloc::alloc", Class::Plumbing),
    ("alloc::boxed", Class::Plumbing),
    ("alloc::raw_vec", Class::Plumbing),
    ("tokio", Class::Library),
    ("tokio::runtime", Class::Plumbing),
    ("tokio::runtime::task::join::JoinHandle", Class::Library),
    ("tokio::task::coop", Class::Plumbing),
    ("tokio::loom", Class::Plumbing),
    ("tokio::future", Class::Plumbing),
    ("tokio::sync::task", Class::Plumbing),
    ("tokio::time::sleep::Sleep::poll_elapsed", Class::Plumbing),
    ("futures", Class::Library),
    ("futures_channel", Class::Library),
    ("futures_core", Class::Plumbing),
    ("futures_util", Class::Plumbing),
    ("futures_util::stream::futures_unordered", Class::Library),
    ("hyper", Class::Library),
    ("hyper_util", Class::Library),
    ("h2", Class::Library),
    ("http_body_util", Class::Plumbing),
    ("tower", Class::Plumbing),
    ("tower_http", Class::Plumbing),
    ("tower_service", Class::Plumbing),
    ("axum", Class::Plumbing),
    ("axum_core", Class::Plumbing),
    ("tonic", Class::Library),
    ("tracing", Class::Plumbing),
    ("tracing_core", Class::Plumbing),
    ("tracing_futures", Class::Plumbing),
    ("tracing_subscriber", Class::Plumbing),
    ("pin_project", Class::Plumbing),
    ("pin_project_lite", Class::Plumbing),
    ("async_trait", Class::Plumbing),
    ("ractor", Class::Library),
    ("ractor::actor", Class::Plumbing),
    ("sqlx", Class::Library),
    ("sqlx_core", Class::Library),
    ("sqlx_sqlite", Class::Library),
    ("reqwest", Class::Library),
    ("mio", Class::Library),
    ("parking_lot", Class::Library),
    ("flame_on", Class::Plumbing),
];

/// Types of the language itself, with what is called them here where they have no name. What they do says nothing.
const BARE_TYPES: &[&str] = &[
    "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "fn", "tuple",
];

/// Parts of the paths of sources that are not the user's: cargo's caches, vendored crates, the toolchain.
const LIBRARY_PATHS: &[&str] =
    &["/registry/src/", "/git/checkouts/", "/vendor/", "/rustc/", "/lib/rustlib/src/", "/rust/deps/", "/usr/src/"];

/// Functions of C that every thread begins with.
const BEGINNINGS: &[&str] =
    &["_start", "clone", "clone3", "main", "start_thread", "__libc_start_main", "__libc_start_call_main"];

/// What catching a panic goes through, by the names that it has where it was inlined and names are cut short.
const CATCHING: &[&str] = &["__rust_try", "catch_unwind"];

/// Marks of the C library's own names for its functions: `__GI___libc_free` is `free`.
const C_MARKS: &[&str] = &["__GI_", "__libc_"];

/// What slices and arrays are called; sorting one is worth its name.
const SLICE: &str = "slice";

/// Crate and method of what an actor's messages are handled by.
const ACTOR_TRAITS: &[(&str, &str)] = &[("ractor::", "::handle")];

pub(super) fn read(raw: &str) -> Named {
    let demangled = match rustc_demangle::try_demangle(raw) {
        Ok(name) => format!("{name:#}"),
        Err(_) => raw.to_owned(),
    };
    // `{{closure}}`, `{closure#0}`, `{async_fn#0}`.
    let is_body = demangled.rsplit("::").next().is_some_and(|last| last.starts_with('{'));
    let named = match Parts::of(&demangled) {
        Some(parts) => parts.named(),
        None => Named { text: without_generics(without_marks(&demangled)), is_actor_handler: false, is_body },
    };
    Named { is_body, ..named }
}

/// Without the C library's marks, and without the version that a symbol table has: `free@GLIBC_2.2.5`.
fn without_marks(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let is_beginning = BEGINNINGS.contains(&name);
    C_MARKS.iter().filter(|_| !is_beginning).fold(name, |name, mark| name.strip_prefix(mark).unwrap_or(name))
}

/// A name that begins with a type: `<own as implemented>rest`, or `module::<impl implemented for own>rest`.
struct Parts<'a> {
    own: &'a str,
    implemented: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let at = name.find('<')?;
        let inner = name.get(at + 1..)?;
        let end = closing(inner)?;
        let (head, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
        if at == 0 {
            let (own, implemented) = split(head, " as ").map_or((head, None), |(own, other)| (own, Some(other)));
            return Some(Self { own, implemented, rest });
        }
        let (implemented, own) = split(head.strip_prefix("impl ")?, " for ")?;
        Some(Self { own, implemented: Some(implemented), rest })
    }

    fn named(&self) -> Named {
        let implemented = self.implemented.map(without_generics).unwrap_or_default();
        let rest = without_generics(self.rest);
        let path = path_of_type(bare_type(self.own));
        // A parameter of a generic function says nothing: the trait does.
        let says_something = path.contains("::") || BARE_TYPES.contains(&&*path) || path == SLICE;
        let path = if says_something || implemented.is_empty() { path } else { implemented.clone() };
        let is_future = implemented == "core::future::future::Future";
        let rest = if is_future { rest.strip_suffix("::poll").unwrap_or(&rest) } else { &rest };
        let is_actor_handler = ACTOR_TRAITS.iter().any(|(krate, method)| {
            implemented.starts_with(krate) && implemented.ends_with("::Actor") && rest == *method
        });
        Named { text: format!("{path}{rest}"), is_actor_handler, is_body: false }
    }
}

/// Types without a name are called by what they are.
fn path_of_type(own: &str) -> String {
    match own.chars().next() {
        Some('[') => SLICE.into(),
        Some('(') => "tuple".into(),
        _ if ["fn(", "unsafe fn(", "extern "].iter().any(|start| own.starts_with(start)) => "fn".into(),
        _ => read(own).text,
    }
}

/// By its source where that is known, else by its crate.
pub(super) fn class_of(named: &Named, file: Option<&str>) -> Class {
    let first = named.text.split("::").next().unwrap_or_default();
    if BARE_TYPES.contains(&first) && named.text.contains("::") {
        return Class::Plumbing;
    }
    let listed = CRATES
        .iter()
        .filter(|(path, _)| is_below(&named.text, path))
        .max_by_key(|(path, _)| path.len())
        .map(|(_, class)| *class);
    if !named.text.contains("::") {
        // C, or a name that was cut short.
        let is_plumbing = [BEGINNINGS, CATCHING].iter().any(|names| names.contains(&&*named.text));
        return if is_plumbing { Class::Plumbing } else { Class::Library };
    }
    match file.filter(|file| file.starts_with('/')) {
        _ if is_below(&named.text, "flame_on") => Class::Plumbing,
        Some(file) if is_library(file) => listed.unwrap_or(Class::Library),
        Some(_) => Class::Own,
        None => listed.unwrap_or(Class::Own),
    }
}

/// Whether the source `file` is one of a library.
pub(super) fn is_library(file: &str) -> bool {
    LIBRARY_PATHS.iter().any(|part| file.contains(part))
}

fn is_below(name: &str, path: &str) -> bool {
    name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `&mut dyn shop::Shape + Send` is about `shop::Shape`.
fn bare_type(mut text: &str) -> &str {
    while let Some(rest) = ["&", "*const ", "*mut ", "mut ", "dyn "].iter().find_map(|mark| text.strip_prefix(mark)) {
        text = rest;
    }
    text.split(" + ").next().unwrap_or(text)
}

/// Steps through `text` with the depth of brackets after each character; the `>` of an arrow is none.
fn depths(text: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let (mut depth, mut before) = (0, ' ');
    text.char_indices().map(move |(at, character)| {
        match character {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        before = character;
        (at, character, depth)
    })
}

fn closing(text: &str) -> Option<usize> {
    depths(text).find(|(_, _, depth)| *depth < 0).map(|(at, ..)| at)
}

/// At the first `mark` that is not within brackets.
fn split<'a>(head: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let is_mark = |at: usize| head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let (at, ..) = depths(head).find(|(at, _, depth)| *depth == 0 && is_mark(*at))?;
    Some((head.get(..at)?, head.get(at + mark.len()..)?))
}

/// The arguments of the function `name`.
pub(super) fn arguments(name: &str) -> Option<impl Iterator<Item = &str>> {
    let (_, inner) = name.split_once('<')?;
    let mut rest = Some(inner.get(..closing(inner)?)?);
    let next = move || {
        let (first, others) =
            rest.and_then(|all| split(all, ", ")).map_or((rest?, None), |(first, others)| (first, Some(others)));
        rest = others;
        Some(first.trim())
    };
    Some(std::iter::from_fn(next).filter(|argument| !argument.is_empty()))
}

/// Leaves out generic arguments, and segments that only the compiler knows: `{{closure}}`, `{closure#0}`.
fn without_generics(text: &str) -> String {
    let mut outer = String::new();
    let mut before = 0;
    for (_, character, depth) in depths(text) {
        if depth <= 0 && before <= 0 {
            outer.push(character);
        }
        before = depth;
    }
    let starts_inside = outer.starts_with("::");
    let segments = outer.split("::").filter(|segment| !segment.is_empty() && !segment.starts_with('{'));
    let joined = segments.collect::<Vec<_>>().join("::");
    if starts_inside && !joined.is_empty() { format!("::{joined}") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_a_person_writes_them() {
        for (raw, expected) in [
            ("shop::orders::load::{{closure}}", "shop::orders::load"),
            ("shop::orders::load::{closure#0}::{async_block_env#0}", "shop::orders::load"),
            ("<tokio::time::sleep::Sleep as core::future::future::Future>::poll", "tokio::time::sleep::Sleep"),
            ("<shop::Repo<alloc::vec::Vec<u8>> as shop::Store>::get::{{closure}}", "shop::Repo::get"),
            ("<F as axum::handler::Handler<M,S>>::call", "axum::handler::Handler::call"),
            ("<&mut F as core::future::future::Future>::poll", "core::future::future::Future"),
            ("<dyn shop::Shape + core::marker::Send>::area", "shop::Shape::area"),
            ("shop::map::<fn(u8) -> alloc::string::String>", "shop::map"),
            (
                "<alloc::boxed::Box<dyn FnOnce() -> u8> as core::ops::function::FnOnce<()>>::call_once",
                "alloc::boxed::Box::call_once",
            ),
            (
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
            ),
            ("malloc", "malloc"),
            ("__GI___libc_free", "free"),
            ("__libc_start_main", "__libc_start_main"),
            ("__libc_start_main@GLIBC_2.2.5", "__libc_start_main"),
            ("__libc_free@@GLIBC_2.2.5", "free"),
            (
                "shop::cpu::_::<impl serde_core::de::Deserialize for shop::cpu::Item>::deserialize",
                "shop::cpu::Item::deserialize",
            ),
            ("tokio::runtime::time::<impl tokio::runtime::time::Handle>::process", "tokio::runtime::time::process"),
            ("<[shop::Item]>::sort_by::<fn(u8)>", "slice::sort_by"),
            ("<(A, B) as shop::Pair>::first", "tuple::first"),
            ("<fn() -> shop::A as core::ops::function::FnOnce<()>>::call_once", "fn::call_once"),
            ("<u64>::rotate_left", "u64::rotate_left"),
            ("_ZN4shop6orders4load17h0123456789abcdefE", "shop::orders::load"),
        ] {
            assert_eq!(read(raw).text, expected, "{raw}");
        }
    }

    #[test]
    fn an_actors_handler_is_known_by_its_trait() {
        let named = read("<pricing::PriceActor as ractor::actor::Actor>::handle::{{closure}}");
        assert!(named.is_actor_handler);
        assert_eq!(named.text, "pricing::PriceActor::handle");
        assert!(!read("<pricing::PriceActor as shop::Actor>::handle").is_actor_handler);
        assert!(named.is_body && !read("<pricing::PriceActor as shop::Actor>::handle").is_body);
    }

    #[test]
    fn the_source_decides_whose_it_is_and_else_the_crate() {
        let class = |name, file| class_of(&read(name), file);
        let std = Some("/rustc/0/library/std/src/panicking.rs");
        assert_eq!(
            ["__rust_try", "catch_unwind", "read"].map(|name| class(name, std)),
            [Class::Plumbing, Class::Plumbing, Class::Library]
        );
        assert_eq!(class("shop::load", None), Class::Own);
        assert_eq!(class("tower::mine", Some("/srv/tower/src/lib.rs")), Class::Own);
        assert_eq!(class("left::pad", Some("/home/u/.cargo/registry/src/x/left/src/lib.rs")), Class::Library);
        assert_eq!(class("tokio::runtime::park::x", None), Class::Plumbing);
        assert_eq!(class("<u64>::rotate_left", Some("/rustc/x/library/core/src/num/mod.rs")), Class::Plumbing);
        assert_eq!(class("<[shop::Item]>::sort_by", None), Class::Library);
        assert_eq!(class("flame_on::capture::x", Some("/srv/flame_on/src/lib.rs")), Class::Plumbing);
    }
}
