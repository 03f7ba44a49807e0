//! Which frames of a backtrace are the user's own code.

use super::error_event::StackFrame;

/// What the configuration says. Exclusions win.
#[derive(Debug, Clone, Default)]
pub(crate) struct InAppRules {
    /// Beginnings of module paths or files that are the user's own.
    pub(crate) include: Vec<String>,
    /// Beginnings of module paths or files that are not.
    pub(crate) exclude: Vec<String>,
}

/// Parts of paths under which there is only other people's code: cargo's registry and checkouts of git, the standard
/// library, vendored crates.
const FOREIGN_PATHS: [&str; 6] =
    ["/.cargo/registry/", "/cargo/registry/", "/.cargo/git/", "/rustc/", "/rustlib/", "/vendor/"];

/// Crates that are nobody's own, for frames whose file is not known; and the agent.
const FOREIGN_CRATES: [&str; 8] = ["std", "core", "alloc", "test", "tokio", "backtrace", "flame_on", "__rustc"];

impl InAppRules {
    /// Whether `frame` is the user's own code: as the configuration says, else by where its file is. A frame without
    /// a file is if its crate is none of the usual foreign ones.
    pub(crate) fn is_in_app(&self, frame: &StackFrame) -> bool {
        let begins = |start: &String| {
            begins_path(&frame.module, start)
                || begins_path(&frame.function, start)
                || frame.abs_path.starts_with(start)
                || frame.file.starts_with(start)
        };
        if self.exclude.iter().any(begins) {
            return false;
        }
        self.include.iter().any(begins) || is_own(frame)
    }
}

fn is_own(frame: &StackFrame) -> bool {
    let path = frame.abs_path.replace('\\', "/");
    let is_foreign_path = FOREIGN_PATHS.iter().any(|part| path.contains(part));
    let is_foreign_crate = FOREIGN_CRATES.iter().any(|name| begins_path(crate_path(&frame.function), name));
    // What is neither is the C library's, or another language's.
    let is_rust = frame.function.contains("::") || path.ends_with(".rs");
    is_rust && !is_foreign_path && !is_foreign_crate
}

/// The path of `<a::B as c::D>::e` begins with `a`.
fn crate_path(function: &str) -> &str {
    function.trim_start_matches(['<', '&']).trim_start_matches("mut ").trim_start_matches("dyn ")
}

/// Whether `path` is `start` or goes on below it.
fn begins_path(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || start.ends_with("::"))
}

/// A source file as it is known within its crate: from its `src/`, `tests/`, `examples/` or `benches/` folder and the
/// folder above on; the whole path where there is none.
pub(crate) fn short_file(path: &str) -> &str {
    let inside = ["/src/", "/tests/", "/examples/", "/benches/"];
    let Some(folder) = inside.iter().filter_map(|folder| path.rfind(folder)).max() else { return path };
    let head = path.get(..folder).unwrap_or_default();
    let root = head.rfind('/').map_or(0, |slash| slash + 1);
    path.get(root..).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, abs_path: &str) -> StackFrame {
        let module = function.rsplit_once("::").map_or("", |(module, _)| module).to_owned();
        StackFrame { function: function.into(), module, abs_path: abs_path.into(), ..StackFrame::default() }
    }

    #[test]
    fn files_of_the_workspace_are_own_code() {
        let rules = InAppRules::default();
        for (function, path, is_own) in [
            ("shop::cart::add", "/home/ann/shop/src/cart.rs", true),
            ("shop::cart::add", "C:\\work\\shop\\src\\cart.rs", true),
            ("shop::cart::add", "", true),
            ("serde::de::x", "/home/ann/.cargo/registry/src/index.crates.io-1/serde-1.0.0/src/de.rs", false),
            ("dep::x", "/home/ann/.cargo/git/checkouts/dep-1/2/src/lib.rs", false),
            ("dep::x", "/home/ann/shop/vendor/dep/src/lib.rs", false),
            ("core::ops::call_once", "/rustc/0123/library/core/src/ops.rs", false),
            ("<alloc::boxed::Box<F> as core::ops::FnOnce>::call_once", "", false),
            ("flame_on::errors::capture_error", "/home/ann/flame-on/src/errors/mod.rs", false),
            ("__libc_start_main", "", false),
            ("start_thread", "/home/ann/shop/./nptl/pthread_create.c", false),
            ("main", "/home/ann/shop/src/main.rs", true),
            ("", "", false),
        ] {
            assert_eq!(rules.is_in_app(&frame(function, path)), is_own, "{function} {path}");
        }
    }

    #[test]
    fn the_configuration_wins_and_exclusions_win_over_inclusions() {
        let rules =
            InAppRules { include: vec!["dep".into()], exclude: vec!["dep::wire".into(), "/home/ann/gen".into()] };
        assert!(rules.is_in_app(&frame("dep::x", "/home/ann/.cargo/registry/src/dep/lib.rs")));
        assert!(!rules.is_in_app(&frame("dep::wire::x", "/home/ann/dep/src/wire.rs")));
        assert!(!rules.is_in_app(&frame("shop::x", "/home/ann/gen/x.rs")));
        assert!(!rules.is_in_app(&frame("depot::x", "/home/ci/.cargo/registry/src/depot/lib.rs")));
    }

    #[test]
    fn a_file_is_shown_from_its_crate_on() {
        for (path, short) in [
            ("/home/ann/shop/src/cart/add.rs", "shop/src/cart/add.rs"),
            ("/home/ann/src/shop/tests/cart.rs", "shop/tests/cart.rs"),
            ("src/cart.rs", "src/cart.rs"),
            ("build.rs", "build.rs"),
        ] {
            assert_eq!(short_file(path), short);
        }
    }
}
