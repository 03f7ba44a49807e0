//! What the build of the running program lets the symboliser say, and what to change where that is not everything.

use std::fmt;
use std::path::{Path, PathBuf};

use super::module::Module;
use super::opened;
use super::symbolizer::SymbolSettings;
use crate::model::native::ModuleMap;

/// How functions at an address are known. From nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Names {
    /// By their address only: the program is stripped.
    Addresses,
    /// By the symbol table: no inlined functions, no lines.
    SymbolTable,
    /// By line tables: inlined functions are there, but cut short to the last part of their names.
    LinesOnly,
    /// By debug information: inlined functions with their whole names.
    Full,
}

/// Where debug information lies that is not in the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Split {
    /// In `<program>.dwp`.
    pub(crate) in_package: bool,
    /// In the compiler's `.dwo` files.
    pub(crate) in_objects: bool,
    /// It was split off and is in neither.
    pub(crate) is_missing: bool,
}

/// What became of the file that `debug_file` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedFile {
    /// None is named.
    None,
    /// It is read.
    Used,
    /// It is not there, or belongs to another build.
    Refused,
}

/// What of a module's own file can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileState {
    /// All that is in there.
    Readable,
    /// It was replaced or deleted since it was mapped.
    Gone,
    /// Its debug information is packed by something other than zlib.
    Packed,
    /// Its debug information needs more memory than is allowed.
    TooLong,
}

/// What the symboliser can say about a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    program: PathBuf,
    /// How the user's own functions are known.
    pub(crate) own: Names,
    /// How those of libraries are, by the example of the agent.
    pub(crate) libraries: Names,
    pub(crate) split: Split,
    pub(crate) named: NamedFile,
    pub(crate) file: FileState,
}

impl Diagnosis {
    /// Of the program that has the user's function at `own` and the agent's at `agent`: both written in Rust, and both
    /// addresses inside of the function, not behind its end. `None` where `own` lies in no module.
    ///
    /// Reads the files anew, so it takes as long as the first lookup in the module.
    pub(crate) fn of(map: &ModuleMap, own: u64, agent: u64, settings: &SymbolSettings) -> Option<Self> {
        let module = map.find(own)?;
        let (pages, most) = (opened::pages(settings), opened::most_parsed(settings));
        let opened = Module::open(module, settings.debug_file.as_deref(), &pages, most);
        let own = opened.names_at(own.wrapping_sub(module.bias));
        // A program that loads the agent as a part of a library of its own: then there is one example only.
        let is_together = module.range.contains(&agent);
        let libraries = if is_together { opened.names_at(agent.wrapping_sub(module.bias)) } else { own };
        Some(Self {
            program: module.path.clone(),
            own,
            libraries,
            split: opened.split(),
            named: opened.named(settings.debug_file.is_some()),
            file: opened.state(),
        })
    }

    /// Whether there is nothing to change.
    pub(crate) fn is_complete(&self) -> bool {
        self.own == Names::Full && self.libraries == Names::Full && self.named != NamedFile::Refused
    }

    /// What to change, in the order in which it helps; `None` when nothing needs to.
    fn advice(&self) -> Option<String> {
        let needs_more = self.own < Names::Full || self.libraries < Names::Full;
        let advice = match self.file {
            FileState::Gone => "the program's file was replaced since it started: restart the service".into(),
            _ if self.named == NamedFile::Refused => REFUSED.into(),
            _ if !needs_more => return None,
            _ if self.split.is_missing => self.about_the_split(),
            FileState::Packed => PACKED.into(),
            FileState::TooLong => "its debug information needs more memory: raise `max_symbol_bytes`".into(),
            FileState::Readable => by_names(self.own, self.libraries).into(),
        };
        Some(advice)
    }

    fn about_the_split(&self) -> String {
        let name = file_name(&self.program);
        format!(
            "the debug information was split off and is not there: deploy `{name}.dwp` beside `{name}` \
             (`split-debuginfo = \"packed\"` makes it), or set `split-debuginfo = \"off\"` in the Cargo profile"
        )
    }
}

const REFUSED: &str = "the file that `debug_file` names is missing or belongs to another build: name the one made with \
                       this program";
const PACKED: &str = "the debug information is packed in a way that cannot be read: pack it with zlib or not at all";

fn by_names(own: Names, libraries: Names) -> &'static str {
    match own.min(libraries) {
        Names::Full => "nothing is missing",
        _ if own == Names::Full => {
            "dependencies are built without it: take `debug = false` out of `[profile.release.package.…]`"
        }
        Names::LinesOnly => "set `debug = 1` in `[profile.release]` instead of `\"line-tables-only\"`",
        Names::SymbolTable => "set `debug = 1` in `[profile.release]`, and no `strip`",
        Names::Addresses => {
            "set `debug = 1` and `strip = \"none\"` in `[profile.release]`, or name the file with the debug information \
             by `debug_file`"
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "functions and inlined functions by name",
            Self::LinesOnly => "functions by name, inlined ones by the last part of it",
            Self::SymbolTable => "functions by name, without inlined ones",
            Self::Addresses => "addresses only",
        })
    }
}

/// One sentence for the log: what there is, and what to change.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", file_name(&self.program), self.own)?;
        if self.libraries != self.own {
            write!(f, "; of libraries, {}", self.libraries)?;
        }
        if self.split.in_package {
            write!(f, " (from {}.dwp)", file_name(&self.program))?;
        } else if self.split.in_objects {
            write!(f, " (from the compiler's .dwo files)")?;
        } else if self.named == NamedFile::Used {
            write!(f, " (from `debug_file`)")?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
}
