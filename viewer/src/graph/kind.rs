//! What a frame is: which colour it gets.

use super::stacks::Function;

/// What a frame stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The trace itself.
    Root,
    /// A function of the user's own crates: its source is neither in a registry nor in the toolchain.
    Own,
    /// A function of a dependency or of the standard library.
    Library,
    /// A function or a span whose source is not known.
    Marked,
    /// The task was not being polled.
    Sleep,
    /// It was woken and waited for its turn.
    Queue,
    /// It waited for somebody who has a name.
    Call,
    /// It waited for the client to take the next piece of a body.
    Peer,
}

impl Kind {
    /// All of them, in the order of a legend.
    pub(crate) const ALL: [Self; 8] =
        [Self::Own, Self::Marked, Self::Library, Self::Sleep, Self::Call, Self::Queue, Self::Peer, Self::Root];

    /// The kind of a function below the root.
    pub(crate) fn of(function: &Function) -> Self {
        match function.name.as_str() {
            "SLEEP" => Self::Sleep,
            "QUEUE" => Self::Queue,
            "PEER" => Self::Peer,
            call if call.starts_with("CALL ") => Self::Call,
            _ if function.file.is_empty() => Self::Marked,
            _ if is_foreign(&function.file) => Self::Library,
            _ => Self::Own,
        }
    }

    /// Whether the task does not run while this is on top.
    pub(crate) fn is_waiting(self) -> bool {
        matches!(self, Self::Sleep | Self::Queue | Self::Call | Self::Peer)
    }

    /// The name of the colour in the style sheet.
    pub(crate) fn css(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Own => "own",
            Self::Library => "library",
            Self::Marked => "marked",
            Self::Sleep => "sleep",
            Self::Queue => "queue",
            Self::Call => "call",
            Self::Peer => "peer",
        }
    }

    /// What a legend says.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Root => "the trace",
            Self::Own => "own crates",
            Self::Library => "libraries",
            Self::Marked => "frames without a source file",
            Self::Sleep => "SLEEP: waiting",
            Self::Queue => "QUEUE: woken, not yet polled",
            Self::Call => "CALL: waiting for somebody by name",
            Self::Peer => "PEER: waiting for the client",
        }
    }
}

/// Parts of the paths of what Cargo and rustup put on a machine.
const FOREIGN: [&str; 5] = ["/registry/src/", "/.cargo/git/", "/rustc/", "/rustlib/", "/toolchains/"];
/// How paths of the standard library begin where they are not absolute.
const FOREIGN_START: [&str; 4] = ["library/std/", "library/core/", "library/alloc/", "rustc/"];

fn is_foreign(file: &str) -> bool {
    let file = file.replace('\\', "/");
    FOREIGN.iter().any(|part| file.contains(part)) || FOREIGN_START.iter().any(|start| file.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::{Function, Kind};

    #[test]
    fn a_frame_is_known_by_its_name_and_then_by_its_file() {
        for (name, file, kind) in [
            ("SLEEP", "/home/me/shop/src/main.rs", Kind::Sleep),
            ("CALL postgres {:query}", "", Kind::Call),
            ("CALLER", "", Kind::Marked),
            ("shop::load", "/home/me/shop/src/main.rs", Kind::Own),
            ("shop::load", "src/main.rs", Kind::Own),
            ("tokio::time::sleep", "/home/me/.cargo/registry/src/index-1/tokio-1.0/src/time.rs", Kind::Library),
            ("core::fmt", "/rustc/abc/library/core/src/fmt/mod.rs", Kind::Library),
            ("std::io", "library/std/src/io.rs", Kind::Library),
            ("x", "C:\\Users\\me\\.cargo\\registry\\src\\a\\x.rs", Kind::Library),
            ("x", "/home/me/.cargo/git/checkouts/x/src/lib.rs", Kind::Library),
            ("x", "", Kind::Marked),
        ] {
            assert_eq!(Kind::of(&Function { name: name.into(), file: file.into() }), kind, "{name} {file}");
        }
    }
}
