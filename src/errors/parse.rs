//! Reads the text that the standard library shows a backtrace as; its frames have no other face.
//!
//! ```text
//!    4: shop::cart::add
//!              at ./src/cart.rs:17:5
//! ```
//! A line that looks otherwise is passed over, so that another notation costs frames and nothing else.

use std::path::Path;

use crate::model::error_event::StackFrame;
use crate::model::in_app::short_file;

/// Frames that are kept; the innermost.
const MAX_FRAMES: usize = 100;

/// Crates of the functions that capture a backtrace, begin a panic, or are in between.
const OF_THE_CAPTURE: [&str; 8] =
    ["std", "core", "alloc", "flame_on", "__rustc", "__rust_try", "backtrace", "rust_begin_unwind"];

/// The frames in `text`, innermost first, without those of the capture itself.
pub(crate) fn frames(text: &str) -> Vec<StackFrame> {
    let mut frames: Vec<StackFrame> = Vec::new();
    let folder = std::env::current_dir().ok();
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                set_place(frame, place, folder.as_deref());
            }
        } else if let Some(function) = function_of(line) {
            frames.push(named(function));
        }
    }
    frames.into_iter().skip_while(is_of_capture).take(MAX_FRAMES).collect()
}

/// By its name, or where a name has no path (inlined, with line tables only) by its file.
fn is_of_capture(frame: &StackFrame) -> bool {
    let is_own_file = frame.abs_path.starts_with(concat!(env!("CARGO_MANIFEST_DIR"), "/src/"));
    if is_own_file || frame.abs_path.starts_with("/rustc/") || frame.abs_path.contains("/rustlib/src/") {
        return true;
    }
    let path = frame.function.trim_start_matches(['<', '&']);
    let name = path.split("::").next().unwrap_or_default();
    OF_THE_CAPTURE.contains(&name)
}

/// `4: name` is the frame of `name`.
fn function_of(line: &str) -> Option<&str> {
    let (number, name) = line.split_once(": ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.trim())
}

fn named(function: &str) -> StackFrame {
    let function = if function == "<unknown>" { "" } else { without_hash(function) };
    StackFrame { function: function.to_owned(), module: module_of(function).to_owned(), ..StackFrame::default() }
}

/// Symbols of the legacy form end in `::h` and 16 hex digits.
fn without_hash(function: &str) -> &str {
    match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => function,
    }
}

/// The module of `a::b::c` is `a::b`; of `<a::B as c::D>::e` and closures it is where the innermost path begins.
fn module_of(function: &str) -> &str {
    let path = function.trim_start_matches(['<', '&']).trim_start_matches("dyn ");
    let end = path.find([' ', '>', '<', '{']).unwrap_or(path.len());
    let path = path.get(..end).unwrap_or_default().trim_end_matches("::");
    let is_closure = function.contains("{{closure}}") || function.contains("{closure#");
    let path = if is_closure { path.rsplit_once("::").map_or(path, |(outer, _)| outer) } else { path };
    if is_closure || function.starts_with('<') {
        return module_part(path);
    }
    path.rsplit_once("::").map_or("", |(module, _)| module_part(module))
}

/// Without the type at its end: modules are in lower case.
fn module_part(path: &str) -> &str {
    match path.rsplit_once("::") {
        Some((module, last)) if last.starts_with(char::is_uppercase) => module,
        _ => path,
    }
}

fn set_place(frame: &mut StackFrame, place: &str, folder: Option<&Path>) {
    let mut parts = place.rsplitn(3, ':');
    let numbers = [parts.next(), parts.next()].map(|number| number.and_then(|number| number.trim().parse().ok()));
    let (file, line, column) = match (numbers, parts.next()) {
        ([Some(column), Some(line)], Some(file)) => (file, line, column),
        // Without a column.
        ([Some(line), _], _) => (place.rsplit_once(':').map_or(place, |(file, _)| file), line, 0),
        _ => (place, 0, 0),
    };
    frame.line = line;
    frame.column = column;
    frame.file = short_file(file).trim_start_matches("./").to_owned();
    frame.abs_path = match (file.strip_prefix("./"), folder) {
        (Some(below), Some(folder)) => folder.join(below).to_string_lossy().into_owned(),
        _ => file.to_owned(),
    };
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    const TEXT: &str = "   0: std::backtrace_rs::backtrace::libunwind::trace
             at /rustc/0123/library/std/src/../../backtrace/src/backtrace/libunwind.rs:117:9
   1: std::backtrace::Backtrace::force_capture
   2: flame_on::errors::backtrace::unresolved
             at ./src/errors/backtrace.rs:22:5
   3: shop::cart::Cart::add::h0123456789abcdef
             at ./shop/src/cart.rs:17:5
   4: shop::cart::total::{{closure}}
             at /home/ann/shop/src/cart.rs:21
   5: <shop::cart::Cart as core::fmt::Display>::fmt
   6: <unknown>
   7: _start
";

    #[test]
    fn frames_are_read_and_those_of_the_capture_left_out() {
        let frames = frames(TEXT);
        let names: Vec<_> = frames.iter().map(|frame| (frame.function.as_str(), frame.module.as_str())).collect();
        assert_eq!(
            names,
            [
                ("shop::cart::Cart::add", "shop::cart"),
                ("shop::cart::total::{{closure}}", "shop::cart"),
                ("<shop::cart::Cart as core::fmt::Display>::fmt", "shop::cart"),
                ("", ""),
                ("_start", ""),
            ]
        );
        let [first, second, ..] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!((first.line, first.column, first.file.as_str()), (17, 5, "shop/src/cart.rs"));
        let absolute = std::path::Path::new(&first.abs_path);
        assert!(absolute.is_absolute() && absolute.ends_with("shop/src/cart.rs"), "{absolute:?}");
        assert_eq!((second.line, second.column, second.file.as_str()), (21, 0, "shop/src/cart.rs"));
    }

    #[test]
    fn another_notation_costs_frames_and_nothing_else() {
        for text in ["", "at ", ":::", "1:", "at :1:2", "x: y", "disabled backtrace", "1: \nat \nat 1:1:1:1"] {
            assert!(frames(text).len() <= 1, "{text}");
        }
    }

    #[test]
    fn what_this_standard_library_shows_can_be_read() {
        let shown = std::backtrace::Backtrace::force_capture().to_string();
        let lines = shown.lines().filter(|line| function_of(line.trim_start()).is_some()).count();
        assert!(lines > 5, "{shown}");
        assert!(shown.contains("what_this_standard_library_shows_can_be_read"));
    }
}
