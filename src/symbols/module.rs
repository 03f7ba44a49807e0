//! All that is known about one module of the process: its file, its debug information, its symbol table.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnose::{FileState, NamedFile, Names, Split};
use super::dwarf::{DebugInfo, RawFrame};
use super::elf::ElfFile;
use super::identity;
use super::pages::PageCache;
use super::symtab::SymbolTable;
use crate::model::native::ModuleInfo;

/// Where distributions put debug information.
const SYSTEM_DEBUG: &str = "/usr/lib/debug";

/// What a module's addresses are looked up in.
pub(super) struct Module {
    info: Option<DebugInfo>,
    table: Option<(ElfFile, SymbolTable)>,
    state: FileState,
    is_named_file_used: bool,
    /// A whole file could not be read for want of memory.
    is_short_of_room: bool,
}

/// What a module says of an address.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Outermost first.
    pub(super) frames: Vec<RawFrame>,
    /// There may be less of them than in the files, because these could not be read, for now or for want of memory.
    pub(super) is_incomplete: bool,
}

/// A file that the debug information was moved to.
struct Separate {
    file: ElfFile,
    path: PathBuf,
    /// The user named it.
    is_named: bool,
}

impl Module {
    /// Opens the files of `module`. Both parts are missing where the file was replaced since it was mapped.
    pub(super) fn open(
        module: &ModuleInfo,
        debug_file: Option<&Path>,
        pages: &Rc<PageCache>,
        most_bytes: usize,
    ) -> Self {
        let program = identity::open(module, pages);
        let separate = separate(module, program.as_ref(), debug_file, pages);
        // A file that the user names goes before what is in the program itself.
        let separate_info =
            separate.as_ref().and_then(|separate| DebugInfo::load(&separate.file, &separate.path, pages, most_bytes));
        let is_separate = separate_info.is_some();
        let info = separate_info.or_else(|| DebugInfo::load(program.as_ref()?, &module.path, pages, most_bytes));
        let state = state(program.as_ref(), info.is_some());
        let is_named_file_used = separate.as_ref().is_some_and(|separate| separate.is_named);
        let mut is_short_of_room = state == FileState::TooLong
            || !is_separate && separate.as_ref().is_some_and(|separate| DebugInfo::is_in(&separate.file));
        let left = most_bytes.saturating_sub(info.as_ref().map_or(0, DebugInfo::bytes));
        let tables = [program, separate.map(|separate| separate.file)]
            .into_iter()
            .flatten()
            .map(|file| (SymbolTable::read(&file, left), file))
            .inspect(|(table, _)| is_short_of_room |= table.is_short_of_room());
        let table = tables.max_by_key(|(table, _)| table.bytes()).map(|(table, file)| (file, table));
        Self { info, table, state, is_named_file_used, is_short_of_room }
    }

    /// Whether nothing of it could be read.
    pub(super) fn is_unread(&self) -> bool {
        self.state == FileState::Gone && self.info.is_none() && self.table.is_none()
    }

    /// Whether more could be known of it, had it been opened with more room.
    pub(super) fn is_short_of_room(&self) -> bool {
        self.is_short_of_room || self.info.as_ref().is_some_and(DebugInfo::is_cut)
    }

    /// What is kept in memory, the pages of files aside.
    pub(super) fn bytes(&self) -> usize {
        let table = self.table.as_ref().map_or(0, |(_, table)| table.bytes());
        table + self.info.as_ref().map_or(0, DebugInfo::bytes)
    }

    /// The functions at `address` of the file. The outermost has the linker's name where there is one: without full debug
    /// information its own is cut short.
    pub(super) fn look(&self, address: u64) -> Looked {
        let mut frames = self.info.as_ref().map(|info| info.frames(address)).unwrap_or_default();
        frames.reverse();
        let is_cut_short = |frame: &RawFrame| frame.name.as_ref().is_none_or(|name| !is_linkage_name(name));
        match frames.first_mut() {
            None => frames.extend(self.symbol(address)),
            Some(outermost) if is_cut_short(outermost) => {
                outermost.name = self.symbol_name(address).or_else(|| outermost.name.take());
            }
            Some(_) => {}
        }
        frames.retain(|frame| frame.name.is_some());
        let is_incomplete = self.state == FileState::Gone
            || self.is_short_of_room
            || self.info.as_ref().is_some_and(|info| info.is_short_of_room_at(address));
        Looked { frames, is_incomplete }
    }

    /// The function at `address` by the symbol table alone.
    pub(super) fn symbol(&self, address: u64) -> Option<RawFrame> {
        let name = self.symbol_name(address)?;
        Some(RawFrame { name: Some(name), task: None, file: None, line: 0 })
    }

    /// How the Rust function at `address` of the file is known.
    pub(super) fn names_at(&self, address: u64) -> Names {
        let frames = self.info.as_ref().map(|info| info.frames(address)).unwrap_or_default();
        match frames.last().map(|outermost| outermost.name.as_deref()) {
            Some(Some(name)) if is_linkage_name(name) => Names::Full,
            // Lines without functions are also what a program has of its own when the rest was split off.
            Some(_) if !self.split().is_missing => Names::LinesOnly,
            _ if self.symbol_name(address).is_some() => Names::SymbolTable,
            _ => Names::Addresses,
        }
    }

    /// Where the debug information of the functions looked up so far was.
    pub(super) fn split(&self) -> Split {
        self.info.as_ref().map(DebugInfo::split_off).unwrap_or_default()
    }

    /// What became of the file that the user named, if they did.
    pub(super) fn named(&self, is_any: bool) -> NamedFile {
        match (is_any, self.is_named_file_used) {
            (false, _) => NamedFile::None,
            (true, true) => NamedFile::Used,
            (true, false) => NamedFile::Refused,
        }
    }

    /// What can be read of the module's own file.
    pub(super) fn state(&self) -> FileState {
        self.state
    }

    fn symbol_name(&self, address: u64) -> Option<String> {
        self.table.as_ref().and_then(|(file, table)| table.name(file, address))
    }
}

/// Whether the linker could know a Rust function by this name.
fn is_linkage_name(name: &str) -> bool {
    name.starts_with("_R") || name.starts_with("_ZN")
}

fn state(program: Option<&ElfFile>, has_info: bool) -> FileState {
    match program {
        None => FileState::Gone,
        Some(program) if program.is_unreadable(".debug_info") => FileState::Packed,
        Some(program) if program.has(".debug_info") && !has_info => FileState::TooLong,
        Some(_) => FileState::Readable,
    }
}

/// The file that the debug information of `module` was moved to.
fn separate(
    module: &ModuleInfo,
    program: Option<&ElfFile>,
    debug_file: Option<&Path>,
    pages: &Rc<PageCache>,
) -> Option<Separate> {
    let build_id = module.build_id.as_deref();
    let named = debug_file.filter(|_| build_id.is_some() || module.is_program);
    let open = |path: PathBuf, is_named| {
        let file = ElfFile::open(&path, pages).filter(|file| file.build_id.as_deref() == build_id)?;
        Some(Separate { file, path, is_named })
    };
    if let Some(found) = named.map(Path::to_path_buf).and_then(|path| open(path, true)) {
        return Some(found);
    }
    // Without a build id nothing says that a file found by its name belongs to this program; its own information, if
    // any, is better than that.
    if build_id.is_none() || program.is_some_and(|program| program.has(".debug_info")) {
        return None;
    }
    let linked = program.and_then(|program| program.debug_link.as_ref()).map(|(name, _)| &**name);
    let mut paths = candidates(&module.path, build_id.unwrap_or_default(), linked).into_iter();
    paths.find_map(|path| open(path, false))
}

/// Where GDB looks, in its order.
fn candidates(program: &Path, build_id: &[u8], linked: Option<&str>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some((first, rest)) = build_id.split_first() {
        let rest = rest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        paths.push(format!("{SYSTEM_DEBUG}/.build-id/{first:02x}/{rest}.debug").into());
    }
    if let (Some(name), Some(folder)) = (linked, program.parent()) {
        paths.push(folder.join(name));
        paths.push(folder.join(".debug").join(name));
        paths.push(Path::new(SYSTEM_DEBUG).join(folder.strip_prefix("/").unwrap_or(folder)).join(name));
    }
    paths
}
